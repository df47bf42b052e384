"""What is measured beside the service, an application a file."""
