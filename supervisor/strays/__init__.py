"""What workers have started and left behind, outside of their process groups. Imported by the shell as well."""
