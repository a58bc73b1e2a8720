"""What monitoring reads of apps, and where. Runs in the supervisor process and in the user's shell."""
