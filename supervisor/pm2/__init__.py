"""What apps of PM2 are told, and what that is here."""
