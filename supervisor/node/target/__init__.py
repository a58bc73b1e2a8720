"""What node is to run: script, interpreter, command line. Imported by the shell as well."""
