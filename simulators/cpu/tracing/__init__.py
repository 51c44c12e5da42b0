"""A run for people: as text, and of a user's own code."""
