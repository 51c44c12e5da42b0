"""The benchmark's tasks, one file a family, and their registry."""
