"""The control socket: command line to supervisor."""
