"""How a supervisor process is started, and what it says about its start."""
