"""Fault matrix: break real servers in every known way, and time how Vitals reports it."""
