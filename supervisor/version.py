"""Owns the version of the code that runs. What is installed may be newer by now. Used by supervisor and shell."""

VERSION = "0.1.0"  # the same as in pyproject.toml
