"""How long requests of a worker took lately. Runs in the supervisor process and in the user's shell."""
