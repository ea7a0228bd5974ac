"""The fifteen attacks."""
