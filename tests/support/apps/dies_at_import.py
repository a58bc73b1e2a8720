"""Raises while it is imported."""

raise RuntimeError("this app cannot be imported")
