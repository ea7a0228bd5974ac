"""Looks at a prepared dataset: audit, contact sheet, inspection page."""
