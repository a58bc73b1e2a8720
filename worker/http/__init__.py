"""HTTP/1.1 on one connection, for the adapters of both interfaces: reading, framing, deadlines, end. Runs in workers."""
