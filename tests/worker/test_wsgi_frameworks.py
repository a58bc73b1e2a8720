"""Flask's and Django's own behaviours on a WSGI worker."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from tests.support.raw_http import CutShort, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import serving_worker
from tests.support.wsgi_probe import Probe

UPLOAD = os.urandom(1_000_000)

FLASK = """
import hashlib, io, pathlib
from flask import Flask, Response, g, request, send_file, stream_with_context

HERE = pathlib.Path(__file__).parent
app = Flask(__name__)

def note(text):
    with (HERE / "notes").open("a") as notes:
        notes.write(text + "\\n")

@app.before_request
def remember():
    g.path = request.path

@app.teardown_request
def teardown(error):
    note(f"teardown {request.path} {type(error).__name__}")

@app.get("/hello")
def hello():
    return "hello"

@app.get("/stream")
def stream():
    def produce():
        yield f"{request.path} "
        yield g.path
    return Response(stream_with_context(produce()))

@app.get("/breaks")
def breaks():
    def produce():
        yield "partial"
        raise ValueError("broke off")
    return Response(stream_with_context(produce()))

@app.get("/raises")
def raises():
    raise ValueError("flask failed")

@app.post("/upload")
def upload():
    file = request.files["file"]
    digest = hashlib.sha256(file.read()).hexdigest()
    return {"name": file.filename, "sha256": digest, "field": request.form["field"]}

@app.post("/chunked")
def chunked():
    return request.get_data()

@app.get("/file")
def file():
    return send_file(HERE / "content", conditional=True)

@app.get("/memory")
def memory():
    return send_file(io.BytesIO(b"in memory"), mimetype="text/plain")
"""

DJANGO = """
import hashlib, pathlib
import django
from django.conf import settings
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

HERE = pathlib.Path(__file__).parent
settings.configure(DEBUG=False, ALLOWED_HOSTS=["test"], ROOT_URLCONF=__name__, SECRET_KEY="x", MIDDLEWARE=[])
django.setup()

from django.core.signals import request_finished

def note(text):
    with (HERE / "notes").open("a") as notes:
        notes.write(text + "\\n")

def on_finished(**_):
    note("finished")

request_finished.connect(on_finished)

def produce(breaks):
    yield b"one,"
    yield b"two"
    if breaks:
        raise ValueError("broke off")

def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256(b"".join(file.chunks())).hexdigest()
    return JsonResponse({"name": file.name, "sha256": digest, "field": request.POST["field"]})

def raises(request):
    raise ValueError("django failed")

urlpatterns = [
    path("hello", lambda request: HttpResponse("hello")),
    path("stream", lambda request: StreamingHttpResponse(produce(False))),
    path("breaks", lambda request: StreamingHttpResponse(produce(True))),
    path("file", lambda request: FileResponse(open(HERE / "content", "rb"))),
    path("chunked", lambda request: HttpResponse(request.body)),
    path("upload", upload),
    path("raises", raises),
]

from django.core.wsgi import get_wsgi_application

app = get_wsgi_application()
"""


@pytest.fixture(scope="module", params=["flask", "django"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    directory = tmp_path_factory.mktemp(request.param)
    (directory / "content").write_bytes(UPLOAD)
    source = FLASK if request.param == "flask" else DJANGO
    with serving_worker(directory, source, threads=2) as worker:  # found to be WSGI by looking
        yield Probe(worker, directory)


def is_flask(probe: Probe) -> bool:
    return "flask" in probe.directory.name


def multipart(content: bytes) -> bytes:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="up.bin"\r\n',
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--edge--\r\n",
    ]
    body = b"".join(parts)
    return request("POST", "/upload", "Content-Type: multipart/form-data; boundary=edge", body=body)


def test_plain_response(probe: Probe) -> None:
    assert probe.ask(get("/hello")).body == b"hello"


def test_streaming(probe: Probe) -> None:
    response = probe.ask(get("/stream"))
    assert response.header("transfer-encoding") == "chunked"
    assert response.body == (b"/stream /stream" if is_flask(probe) else b"one,two")


def test_exception_after_the_first_byte(probe: Probe) -> None:
    with probe.client(get("/breaks")) as client, pytest.raises(CutShort):
        client.response()
    probe.wait_log("ValueError: broke off")


def test_exception_before_the_first_byte(probe: Probe) -> None:
    with probe.client(get("/raises") + get("/hello")) as client:
        assert client.response().status == 500
        assert client.response().body == b"hello"
    if is_flask(probe):
        probe.wait_log("ValueError: flask failed")


def test_not_found(probe: Probe) -> None:
    assert probe.ask(get("/nothing")).status == 404


def test_upload(probe: Probe) -> None:
    response = probe.ask(multipart(UPLOAD))
    assert response.status == 200
    for part in (b"up.bin", b"value", hashlib.sha256(UPLOAD).hexdigest().encode()):
        assert part in response.body


def test_chunked_body_is_seen_by_the_framework(probe: Probe) -> None:
    chunks = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    response = probe.ask(request("POST", "/chunked", "Transfer-Encoding: chunked") + chunks)
    assert response.body == b"abcdefg"


def test_file_response(probe: Probe) -> None:
    response = probe.ask(get("/file"))
    assert response.header("content-length") == str(len(UPLOAD))
    assert response.body == UPLOAD


def test_head_of_a_file_response(probe: Probe) -> None:
    with probe.client(request("HEAD", "/file") + get("/hello")) as client:
        assert client.response(head=True).header("content-length") == str(len(UPLOAD))
        assert client.response().body == b"hello"


def test_range_of_a_file_and_file_in_memory(probe: Probe) -> None:
    if not is_flask(probe):
        return  # Django's FileResponse knows no ranges
    response = probe.ask(get("/file", "Range: bytes=1000-1999"))
    assert (response.status, response.body) == (206, UPLOAD[1000:2000])
    assert probe.ask(get("/memory")).body == b"in memory"


@pytest.mark.parametrize("path", ["/hello", "/stream", "/breaks", "/file"])
def test_framework_is_told_of_the_end_of_each_request(probe: Probe, path: str) -> None:
    probe.wait_closed()
    probe.forget_notes()
    with probe.client(get(path, "Connection: close")) as client:
        client.rest()
    ended = f"teardown {path}" if is_flask(probe) else "finished"
    wait_until(lambda: any(note.startswith(ended) for note in probe.notes()), f"{path} is torn down")


def test_framework_is_told_when_the_client_leaves(probe: Probe) -> None:
    probe.wait_closed()
    probe.forget_notes()
    client = probe.client(get("/stream"))
    client.leave()
    probe.wait_closed()
    assert all("Error" not in note for note in probe.notes())
