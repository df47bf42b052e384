"""Simulates a fleet of instances with the service's own core, and their shared database."""
