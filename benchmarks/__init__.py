"""Benchmarks that compare the service with other ways to serve health checks, in one run."""
