"""The log: an event a line, with fields, and nothing in it that should not be there."""

from app.logs.setup import configure, configure_if_unconfigured, filter_probe_logs


__all__ = ["configure", "configure_if_unconfigured", "filter_probe_logs"]
