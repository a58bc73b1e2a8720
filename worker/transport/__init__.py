"""How a taken connection gets what reads and writes it, and begins at once: an event loop's transport, or our own."""
