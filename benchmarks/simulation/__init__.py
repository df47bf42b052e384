"""A fleet on the service's own core, and the database that it shares, in simulated time."""
