"""The command line ``lasoftmoe``."""

from lasoftmoe.cli.commands import main

__all__ = ["main"]
