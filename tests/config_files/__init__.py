"""Configuration files: what they may look like and what they say."""
