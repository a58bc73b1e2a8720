"""Owns the matrix of Python frameworks: a small app on each, and what tests and docs/tried-with.md know of it. Pure.

Every app answers `/hello` with `hello`, and `/parts` with `one,two` in parts, if it streams.
"""

import msgspec


class Framework(msgspec.Struct, frozen=True):
    """One framework with an app.

    Attributes:
        package: its distribution.
        interface: what its app speaks.
        source: a module with the app as `app`.
        streams: whether the app answers `/parts`.
    """

    package: str
    interface: str
    source: str
    streams: bool = True

    @property
    def title(self) -> str:
        """How a test of it is called."""
        return f"{self.package}-{self.interface}"


FASTAPI = """
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

app = FastAPI()

@app.get("/hello", response_class=PlainTextResponse)
async def hello():
    return "hello"

@app.get("/parts")
def parts():
    return StreamingResponse(iter(["one,", "two"]))
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

async def parts(request):
    return StreamingResponse(iter(["one,", "two"]))

app = Starlette(routes=[Route("/hello", hello), Route("/parts", parts)])
"""

SSE_STARLETTE = """
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

async def parts(request):
    async def events():
        yield {"data": "one"}
        yield {"data": "two"}
    return EventSourceResponse(events())

app = Starlette(routes=[Route("/hello", hello), Route("/parts", parts)])
"""

LITESTAR = """
from litestar import Litestar, MediaType, get
from litestar.response import Stream

@get("/hello", media_type=MediaType.TEXT)
async def hello() -> str:
    return "hello"

@get("/parts")
async def parts() -> Stream:
    return Stream(iter(["one,", "two"]))

app = Litestar([hello, parts])
"""

QUART = """
from quart import Quart

app = Quart(__name__)

@app.get("/hello")
async def hello():
    return "hello"

@app.get("/parts")
async def parts():
    async def produce():
        yield b"one,"
        yield b"two"
    return produce(), 200
"""

SANIC = """
from sanic import Sanic
from sanic.response import text

app = Sanic("probe")

@app.get("/hello")
async def hello(request):
    return text("hello")

@app.get("/parts")
async def parts(request):
    response = await request.respond()
    await response.send("one,")
    await response.send("two")
"""

FALCON_ASGI = """
import falcon.asgi

class Hello:
    async def on_get(self, request, response):
        response.text = "hello"

class Parts:
    async def on_get(self, request, response):
        async def produce():
            yield b"one,"
            yield b"two"
        response.stream = produce()

app = falcon.asgi.App()
app.add_route("/hello", Hello())
app.add_route("/parts", Parts())
"""

FALCON_WSGI = """
import falcon

class Hello:
    def on_get(self, request, response):
        response.text = "hello"

class Parts:
    def on_get(self, request, response):
        response.stream = iter([b"one,", b"two"])

app = falcon.App()
app.add_route("/hello", Hello())
app.add_route("/parts", Parts())
"""

SOCKETIO = """
import socketio

async def hello(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})

app = socketio.ASGIApp(socketio.AsyncServer(async_mode="asgi"), hello)
"""

DJANGO = """
import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", MIDDLEWARE=[])
django.setup()

def hello(request):
    return HttpResponse("hello")

%s

urlpatterns = [path("hello", hello), path("parts", parts)]

from django.core.%s import get_%s_application

app = get_%s_application()
"""
DJANGO_PARTS_SYNC = """
def parts(request):
    return StreamingHttpResponse(iter([b"one,", b"two"]))
"""
DJANGO_PARTS_ASYNC = """
async def parts(request):
    async def produce():
        yield b"one,"
        yield b"two"
    return StreamingHttpResponse(produce())
"""

DJANGO_REST = """
import django
from django.conf import settings

settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", MIDDLEWARE=[],
    INSTALLED_APPS=["rest_framework"], REST_FRAMEWORK={
        "UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]})
django.setup()

from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response

@api_view(["GET"])
def hello(request):
    return HttpResponse("hello")

@api_view(["GET"])
def parts(request):
    return Response("one,two")

urlpatterns = [path("hello", hello), path("parts", parts)]

from django.core.wsgi import get_wsgi_application

app = get_wsgi_application()
"""

FLASK = """
from flask import Flask

app = Flask(__name__)

@app.get("/hello")
def hello():
    return "hello"

@app.get("/parts")
def parts():
    return iter(["one,", "two"]), 200
"""

BOTTLE = """
from bottle import Bottle

app = Bottle()

@app.get("/hello")
def hello():
    return "hello"

@app.get("/parts")
def parts():
    yield "one,"
    yield "two"
"""

PYRAMID = """
from pyramid.config import Configurator
from pyramid.response import Response

with Configurator() as config:
    config.add_route("hello", "/hello")
    config.add_view(lambda request: Response("hello"), route_name="hello")
    config.add_route("parts", "/parts")
    config.add_view(lambda request: Response(app_iter=iter([b"one,", b"two"])), route_name="parts")
    app = config.make_wsgi_app()
"""

FRAMEWORKS = (
    Framework("fastapi", "asgi", FASTAPI),
    Framework("starlette", "asgi", STARLETTE),
    Framework("sse-starlette", "asgi", SSE_STARLETTE),
    Framework("litestar", "asgi", LITESTAR),
    Framework("quart", "asgi", QUART),
    Framework("sanic", "asgi", SANIC),
    Framework("falcon", "asgi", FALCON_ASGI),
    Framework("python-socketio", "asgi", SOCKETIO, streams=False),
    Framework("django", "asgi", DJANGO % (DJANGO_PARTS_ASYNC, "asgi", "asgi", "asgi")),
    Framework("django", "wsgi", DJANGO % (DJANGO_PARTS_SYNC, "wsgi", "wsgi", "wsgi")),
    Framework("djangorestframework", "wsgi", DJANGO_REST),
    Framework("flask", "wsgi", FLASK),
    Framework("falcon", "wsgi", FALCON_WSGI),
    Framework("bottle", "wsgi", BOTTLE),
    Framework("pyramid", "wsgi", PYRAMID),
)
