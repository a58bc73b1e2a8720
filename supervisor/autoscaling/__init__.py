"""How many workers the load asks for. Runs in the supervisor process."""
