"""Every way that a dependency fails, on real servers: told in time, and so is its repair."""
