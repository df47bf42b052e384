"""Vitals answers, truthfully and at once, whether a deployment's dependencies can serve."""

__version__ = "1.0.0"
