"""Tunes: the ABC normal form, the ABC <-> MIDI converter, and a strict MIDI reader."""
