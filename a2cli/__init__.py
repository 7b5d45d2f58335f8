"""A deep-learning lab in one command."""

__version__ = "0.1.0"
