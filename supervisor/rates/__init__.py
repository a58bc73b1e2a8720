"""What an app does a second. Runs in the supervisor process and in the user's shell."""
