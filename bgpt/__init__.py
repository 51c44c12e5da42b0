"""The model: bGPT and a compact relative of it, with trainer and decoder."""
