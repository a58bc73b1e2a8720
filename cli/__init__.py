"""fastlb.cli: the user's shell. Talks to supervisors over control sockets only."""
