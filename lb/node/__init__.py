"""The dispatcher's conversation with Node workers; lb/README.md says which file owns what."""
