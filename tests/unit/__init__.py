"""Tests without processes and sockets."""
