"""Vitals checks whether a deployment's dependencies can serve."""

__version__ = "1.0.0"
