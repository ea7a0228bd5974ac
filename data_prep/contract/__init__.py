"""The files of a prepared dataset: their tables, paths, and packed images."""
