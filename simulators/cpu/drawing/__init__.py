"""Random programs of an instruction set, drawn by a compiled kernel from its table."""
