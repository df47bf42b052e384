"""The applications that the service is compared with, one in each file."""
