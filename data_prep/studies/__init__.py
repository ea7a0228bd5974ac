"""Measurements of the attacks: what they do to face recognition, and how strength matters."""
