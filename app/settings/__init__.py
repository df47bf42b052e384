"""The settings from the environment and the secret files, validated before the service starts."""

from app.settings.loading import ConfigurationError, load, load_with_problems
from app.settings.model import Settings


__all__ = ["ConfigurationError", "Settings", "load", "load_with_problems"]
