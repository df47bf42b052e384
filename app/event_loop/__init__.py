"""Whether the event loop comes round, and what keeps it."""
