"""HTTP/1.1 on one connection, for adapters: reading, framing, deadlines, end. Runs in workers."""
