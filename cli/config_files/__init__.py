"""Files that say which apps there are. See docs/architecture.md."""
