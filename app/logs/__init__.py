"""Structured logging: one event per line, with fields, and without secrets."""

from app.logs.setup import configure, configure_if_unconfigured, filter_probe_logs


__all__ = ["configure", "configure_if_unconfigured", "filter_probe_logs"]
