"""Owns the ten mistakes that docs/captures.md shows, and the apps with which they are made. Only declarations."""

import msgspec

PORT = "{port}"
TLS = "start blog.wsgi:application --bind 127.0.0.1:0"

API = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    print(scope["method"], scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"hi\\n"})
"""
WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"hi\\n"]
"""
BROKEN = """
raise RuntimeError("SHOP_PRICES is not set")
"""
FILES = {
    "shop/__init__.py": "",
    "shop/api.py": API,
    "blog/wsgi.py": WSGI,
    "mail/wsgi.py": WSGI,
    "fastlb.toml": '[apps.blog]\ntarget = "blog.wsgi:application"\ninstances = 4\nkill_timeot = "5s"\n',
}


class Mistake(msgspec.Struct, frozen=True):
    """One mistake.

    Attributes:
        title: what is the matter.
        command: what is typed behind `fastlb`; PORT stands for the port of the app `shop`, which runs.
        files: what is changed before, by path.
    """

    title: str
    command: str
    files: dict[str, str] = {}


MISTAKES = (
    Mistake("A file instead of a module", "start shop/api.py"),
    Mistake("A name that is not in the module", "start blog.wsgi:app"),
    Mistake("Mistakes in a configuration file", "start fastlb.toml"),
    Mistake("An option that is misspelled", "start blog.wsgi:application --wrokers 4"),
    Mistake("An option of another tool", "start blog.wsgi:application -k gevent"),
    Mistake("Milliseconds", "start blog.wsgi:application --kill-timeout 5000"),
    Mistake("A port that another app has", f"start blog.wsgi:application --bind 127.0.0.1:{PORT}"),
    Mistake("A certificate that is not there", f"{TLS} --ssl-certfile cert.pem --ssl-keyfile key.pem"),
    Mistake("A command of another tool", "deploy production"),
    Mistake("A deploy that does not start", "reload shop", {"shop/api.py": BROKEN + API}),
)
