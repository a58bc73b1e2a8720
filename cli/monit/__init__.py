"""What runs, as it goes on, for people. Runs in the user's shell."""
