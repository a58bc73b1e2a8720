"""What is wrong with machine, settings and load, and what mends it. Runs in the user's shell."""
