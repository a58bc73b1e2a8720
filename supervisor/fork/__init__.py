"""Workers that are any program, each on its own."""
