"""What the table of Thumb is made of."""
