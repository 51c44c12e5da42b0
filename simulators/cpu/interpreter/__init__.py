"""RISC-V interpreted by compiled code of our own."""
