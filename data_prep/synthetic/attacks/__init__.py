"""Fifteen attacks on a capture."""
