"""The server: who may connect, and the answers that are given below the application."""
