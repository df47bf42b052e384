"""Where the service stands in its own life, and what turns it."""

from app.lifecycle.phase import Lifecycle, Phase


__all__ = ["Lifecycle", "Phase"]
