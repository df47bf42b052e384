"""What the environment and the secrets' files say, judged all at once before anything starts."""

from app.settings.loading import ConfigurationError, load, load_with_problems
from app.settings.model import Settings


__all__ = ["ConfigurationError", "Settings", "load", "load_with_problems"]
