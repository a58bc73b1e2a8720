"""Writes docs/captures.md: what commands answer, as they really do."""
