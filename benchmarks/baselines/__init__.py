"""Baselines: what a score means without a model. Each is a `ByteModel` and calibrates the table."""
