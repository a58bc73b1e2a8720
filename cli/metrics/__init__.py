"""What monitoring reads of all apps. Runs in the user's shell."""
