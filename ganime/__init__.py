"""Booru tags in, a trained character generator out, every image on the way accounted for."""

__version__ = "0.1.0"
