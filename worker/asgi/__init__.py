"""Serving ASGI apps: uvicorn's protocols on connections that were handed over. Runs in ASGI workers only."""
