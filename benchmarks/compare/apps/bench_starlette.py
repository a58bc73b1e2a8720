"""Starlette: one route that answers with JSON."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def hello(request: Request) -> JSONResponse:
    """Answer."""
    return JSONResponse({"hello": "world"})


app = Starlette(routes=[Route("/", hello)])
