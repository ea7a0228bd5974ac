"""Measurements of the attacks: their effect on face recognition and the role of strength."""
