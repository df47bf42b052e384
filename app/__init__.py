"""Vitals answers, truthfully and at once, whether a deployment's dependencies can serve."""

__version__ = "0.1.0"
