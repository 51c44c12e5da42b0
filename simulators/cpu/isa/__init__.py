"""Instruction sets as tables, one file each; `catalogue` lists them."""
