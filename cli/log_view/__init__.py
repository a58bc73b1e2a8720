"""Showing the logs of apps: which files there are, which lines are wanted, in which order, and how they look."""
