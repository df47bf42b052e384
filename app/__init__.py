"""Vitals checks whether a deployment's dependencies can serve."""

__version__ = "2.0.0"
