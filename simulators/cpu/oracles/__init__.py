"""Independent ways to the same states, bytes and listings, and what they find."""
