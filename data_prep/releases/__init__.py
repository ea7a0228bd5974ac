"""Importers of real releases."""
