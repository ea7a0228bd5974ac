"""Scenes: a person in front of a background."""
