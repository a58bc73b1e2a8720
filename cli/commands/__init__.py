"""One command, one module; imported when used."""
