"""Deterministic machines and algorithms: bytes in, bytes out. No torch, no network."""
