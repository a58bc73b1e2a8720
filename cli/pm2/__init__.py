"""What PM2's users know by heart, in our terms. Pure; imported when used."""
