"""Captioned synthetic captures, for pretraining."""
