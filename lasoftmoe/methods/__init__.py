"""One file for each method of face attack detection."""
