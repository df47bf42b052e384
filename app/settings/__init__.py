"""What the environment and the secrets' files say, judged all at once before anything starts."""

from app.settings.model import ConfigurationError, Settings, judge, load


__all__ = ["ConfigurationError", "Settings", "judge", "load"]
