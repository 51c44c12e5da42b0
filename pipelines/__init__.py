"""Corpora: from a source (a simulator, a catalogue of tunes) to verified shards on disk."""
