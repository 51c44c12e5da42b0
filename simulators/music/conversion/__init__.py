"""ABC to MIDI and back by foreign programs, in the sandbox."""
