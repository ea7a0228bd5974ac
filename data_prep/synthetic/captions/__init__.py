"""Captions of synthetic captures, for pretraining."""
