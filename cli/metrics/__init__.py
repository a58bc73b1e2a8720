"""Asking all apps for what monitoring reads. Runs in the user's shell."""
