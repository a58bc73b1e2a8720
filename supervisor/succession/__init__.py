"""How a supervisor is replaced by another one, of another version, while its app serves. Supervisor process."""
