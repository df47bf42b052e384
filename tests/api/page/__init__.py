"""The page is tested without a browser."""
