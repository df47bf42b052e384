"""The HTTP server: limits on connections, and cached responses below ASGI."""
