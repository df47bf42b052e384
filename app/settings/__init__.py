"""What the environment and the secrets' files say, judged all at once before anything starts."""

from app.settings.loading import ConfigurationError, judge, load
from app.settings.model import Settings


__all__ = ["ConfigurationError", "Settings", "judge", "load"]
