"""The HTTP API: routes, verdicts and their formats."""
