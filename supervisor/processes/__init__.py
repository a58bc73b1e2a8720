"""Processes of any kind: starting, reaping, limits, signs of life."""
