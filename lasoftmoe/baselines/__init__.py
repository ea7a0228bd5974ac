"""What others did: the methods that the paper compares with, each a ``Detector``."""
