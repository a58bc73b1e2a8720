"""The bounds of a worker's life: memory, requests, time. Runs in the supervisor process."""
