"""Serving WSGI apps: a protocol of ours on httptools, and a pool of threads. Runs in WSGI workers only."""
