"""Serving ASGI apps: uvicorn's protocols on connections that were handed over."""
