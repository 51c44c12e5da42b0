"""Studies: many small trainings by one command, and their tables and curves."""
