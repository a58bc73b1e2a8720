"""Serving WSGI apps: our HTTP, and threads that take connections themselves. Runs in WSGI workers only."""
