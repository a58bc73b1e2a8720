"""Apps that come back after a boot: units of systemd, scripts of OpenRC. Runs in the user's shell."""
