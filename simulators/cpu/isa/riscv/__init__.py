"""What the tables of RISC-V share."""
