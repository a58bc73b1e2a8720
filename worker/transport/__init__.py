"""What reads and writes a taken connection in the place of an event loop's transport. Runs in workers."""
