"""The dependencies: one kind a file, each a probe and the reasons of its failures."""
