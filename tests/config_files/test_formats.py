"""Formats: the same data from each, where its keys stand, and what is refused where."""

from pathlib import Path

import pytest
from fastlb.cli.config_files.places import Place
from fastlb.cli.config_files.reading import is_config_file, read_config_file
from fastlb.supervisor.errors import UsageError

YAML = """\
# a comment
apps:
  - name: shop
    script: app.js
    umask: 0027
    flag: on
    env: &common
      PORT: 3001
  - name: other
    script: b.js
    env:
      <<: *common
"""
JSON = """\
// a comment: here
{ "apps": [ { name: 'shop', script: "app.js", umask: "0027", flag: "on",
  env: { PORT: 3001 }, }, /* apps: */
  { "name": "other", "script": "b.js", "env": {"PORT": 3001} } ] }
"""
JAVASCRIPT = """\
const port = 3000; // PORT: 3000
const common = { env: { PORT: port + 1 } };
module.exports = {
  apps: [
    { name: 'shop', script: 'app.js', umask: '0027', flag: 'on', ...common },
    { name: `other`, script: 'b.js', ...common },
  ],
};
"""
MODULE = "export default { apps: [ { name: 'shop', script: await Promise.resolve('app.js') } ] };\n"
DATA = {
    "apps": [
        {"name": "shop", "script": "app.js", "umask": "0027", "flag": "on", "env": {"PORT": 3001}},
        {"name": "other", "script": "b.js", "env": {"PORT": 3001}},
    ]
}


def written(directory: Path, name: str, text: str) -> str:
    (directory / name).write_text(text)
    return str(directory / name)


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("a.yaml", YAML, {"name": (9, 5), "PORT": (8, 7)}),
        ("a.json", JSON, {"name": (4, 5), "PORT": (3, 10)}),
        ("a.config.js", JAVASCRIPT, {"name": (6, 7), "PORT": (2, 25)}),
    ],
)
def test_one_data_of_all_formats(tmp_path: Path, name: str, text: str, places: dict[str, tuple[int, int]]) -> None:
    path = written(tmp_path, name, text)
    content = read_config_file(path)
    assert content.data == DATA
    assert content.directory == str(tmp_path)
    assert content.places.place(("apps", 1, "name")) == Place(path, *places["name"])
    assert content.places.place(("apps", 0, "env", "PORT")) == Place(path, *places["PORT"])


def test_toml_and_its_places(tmp_path: Path) -> None:
    text = '[defaults]\nworkers = 2\n[apps.shop]\ntarget = "a:b"\n  env.A = "1"\n[apps."x.y"]\ntarget = "c:d"\n'
    content = read_config_file(written(tmp_path, "fastlb.toml", text))
    assert content.data["apps"]["x.y"] == {"target": "c:d"}
    place = content.places.place
    assert [(place(path).line, place(path).column) for path in [("apps", "shop", "env", "A"), ("apps", "x.y")]] == [
        (5, 3),
        (6, 1),
    ]


def test_module_with_a_promise(tmp_path: Path) -> None:
    content = read_config_file(written(tmp_path, "a.config.mjs", MODULE))
    assert content.data == {"apps": [{"name": "shop", "script": "app.js"}]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"apps": [\n  {name: }]}', "a.json:2:10: this is no JSON: Unexpected"),
        ("a.json", "[" * 100_000, "a.json: it is nested too deeply"),
        ("a.yaml", "apps:\n  - name: [a\n", "a.yaml:3:1: this is no YAML: "),
        ("a.yaml", "a: &x\n  b: *x\n", "a.yaml: a.b contains itself"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []\n", "a.yaml:1:4: this is no YAML: could not determine"),
        ("a.yaml", "3: x\n", "a.yaml: the whole file has the key 3, which is no text"),
        ("a.toml", "[apps.x]\ntarget = \n", "a.toml:2:10: this is no TOML: Invalid value"),
        ("a.toml", "[apps.x]\nday = 2026-01-01\n", "a.toml: apps.x.day is a date: write it as a text, in quotes"),
        ("a.toml", "[apps.x]\nn = nan\n", "a.toml: apps.x.n is nan, which is no number"),
        ("a.json", "\xff", "a.json:1:1: this is no UTF-8"),
        ("a.json", " " * ((1 << 20) + 1), "a.json: it is larger than 1 MiB"),
    ],
)
def test_what_is_refused_where(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        read_config_file(str(path))
    assert caught.value.message.removeprefix(f"{tmp_path}/").startswith(message)


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    with pytest.raises(UsageError, match="more than 100000 values"):
        read_config_file(written(tmp_path, "a.yaml", "\n".join(lines)))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fastlb\.toml cannot be read: No such file"):
        read_config_file(str(tmp_path / "fastlb.toml"))


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("ecosystem.config.js", "", True),
        ("ecosystem.production.js", "", True),
        ("ecosystem.cjs", "", True),
        ("pm2.config.mjs", "", True),
        ("processes.json", "", True),
        ("apps.yml", "", True),
        ("fastlb.toml", "", True),
        ("package.json", '{"name": "x"}', False),
        ("package.json", '{"pm2": {"apps": []}}', True),
        ("package.json", '{"dependencies": {"pm2": "^5"}}', False),
        ("services.js", "const apps = [];\nmodule.exports = { apps };\nexports.apps = apps;", True),
        ("services.mjs", "export const apps = [];", True),
        ("server.js", "module.exports = app;", False),
        ("server.js", "// apps: []\nmodule.exports = app;", False),
        ("server.js", "const apps = [];\nmodule.exports = require('http').createServer().listen(1);", False),
        ("server.py", "", False),
        ("shop:app", "", False),
    ],
)
def test_which_files_are_configuration(tmp_path: Path, name: str, text: str, is_one: bool) -> None:
    assert is_config_file(written(tmp_path, name, text)) is is_one
