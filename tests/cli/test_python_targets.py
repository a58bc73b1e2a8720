"""What is said of a Python file, or of a module without its app: what has to be typed, from what is in the file."""

from pathlib import Path

import pytest
from fastlb.cli.start_request import requested_start
from fastlb.supervisor.errors import UsageError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with apps of several layouts, which is the working directory."""
    monkeypatch.setenv("FASTLB_HOME", str(tmp_path / "home"))
    files = {
        "src/shop/__init__.py": "",
        "src/shop/api.py": "from .db import connect\napp = connect()\n",
        "src/bare/api.py": "from .db import connect\napi = connect()\n",
        "project/__init__.py": "",
        "project/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        "factory.py": "def create_app():\n    raise RuntimeError\n",
        "functional.py": "async def app(scope, receive, send): ...\n",
        "broken.py": "app = (\n",
        "packaged/__init__.py": "from .api import application\n",
    }
    root = tmp_path / "project-root"
    for name, source in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("src/shop/api.py:app", "type --app-dir src shop.api:app"),
        ("src/shop/api.py", "type --app-dir src shop.api:app"),
        ("./src/shop/api.py:main", "type --app-dir src shop.api:main"),
        ("src/bare/api.py", "type --app-dir src bare.api:api"),
        ("project.wsgi", "type project.wsgi:application"),
        ("project/wsgi.py", "type project.wsgi:application"),
        ("factory", "type 'factory:create_app()'"),
        ("factory.py", "type 'factory:create_app()'"),
        ("functional", "type functional:app"),
        ("broken", "type broken:app"),
        ("packaged", "type packaged:application"),
        ("packaged/__init__.py", "type packaged:application"),
    ],
)
def test_advice_can_be_followed(target: str, advice: str) -> None:
    with pytest.raises(UsageError) as refused:
        requested_start(target, (), {}, {})
    assert refused.value.message.endswith(advice)
