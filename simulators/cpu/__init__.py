"""Simulated processors: programs in, traces of states out."""
