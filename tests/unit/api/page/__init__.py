"""Tests of the HTML page without a browser."""
