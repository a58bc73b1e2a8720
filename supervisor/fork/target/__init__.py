"""What a process of fork mode runs."""
