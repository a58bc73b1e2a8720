"""The formats of configuration files: each gives plain data and where in the text a key stands."""
