"""What must come before a connection is handed over, such as a PROXY header."""
