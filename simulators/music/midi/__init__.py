"""MIDI: strict readers of files, one for people and one for millions, and their shorter form."""
