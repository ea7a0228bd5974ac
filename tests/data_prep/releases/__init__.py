"""Miniature releases in the layouts that the real ones are documented to have."""
