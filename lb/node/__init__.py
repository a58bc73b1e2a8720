"""The dispatcher's conversation with Node workers."""
