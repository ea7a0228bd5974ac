"""Inspection of a prepared dataset: audit, contact sheet, HTML page."""
