"""How many responses of each status there were. Runs in the supervisor process and in the shell."""
