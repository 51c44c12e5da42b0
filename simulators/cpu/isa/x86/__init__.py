"""What the tables of x86 are made of."""
