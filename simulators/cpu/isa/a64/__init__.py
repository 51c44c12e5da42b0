"""What the table of AArch64 is made of."""
