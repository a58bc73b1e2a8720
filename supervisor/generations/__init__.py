"""Which settings and which environment the workers of each generation have. Runs in the supervisor process."""
