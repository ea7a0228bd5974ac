"""What `make` runs around the two packages: building the book, locking versions."""
