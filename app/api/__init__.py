"""The HTTP surface: what is asked, and how the answer reads."""
