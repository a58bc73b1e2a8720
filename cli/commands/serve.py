"""`fastlb serve`: serve a directory of files. Runs in the user's shell."""

import os
from typing import Any

import click
import msgspec

from ...supervisor.errors import UsageError
from ...worker.static_files.site import PASSWORD_VARIABLE, Site, SiteError, read_site
from ..options import json_answers
from ..serving_files import DEFAULT_PORT, site_settings
from ..setting_options import SettingsCommand, given_settings
from ..start_request import requested_start
from .start import start_request

EXAMPLES = (
    "fastlb serve dist                   # on 127.0.0.1:8080",
    "fastlb serve dist 5000 --spa        # a site of one page, on 127.0.0.1:5000",
    "fastlb serve -w max -b :80 --name site public",
    "fastlb serve docs --basic-auth-username me --basic-auth-password-file pw.txt",
)
# Of platforms; they say where to listen, if nothing else does.
PLACE_VARIABLES = ("FASTLB_BIND", "PORT")


@click.command("serve", cls=SettingsCommand, examples=EXAMPLES, short_help="Serve a directory of files.")
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("port", metavar="[PORT]", required=False, default="")
@click.option("--spa", "is_spa", is_flag=True, help="Answer a path of no file with the homepage: a site of one page.")
@click.option("--homepage", metavar="FILE", help="What a directory stands for.  [default: index.html]")
@click.option("--dotfiles", "has_dotfiles", is_flag=True, help="Also serve names that begin with a dot.")
@click.option("--basic-auth-username", "username", metavar="USER", help="Who may read it; with a password file.")
@click.option(
    "--basic-auth-password-file", "password_file", metavar="FILE", help="The password is the first line of this file."
)
@click.option("--no-wait", is_flag=True, help="Return when the workers are ready, without waiting for --settle.")
@json_answers
def command(directory: str, port: str, args: tuple[str, ...], no_wait: bool, **given: Any) -> int:
    """Serve the files in DIR as an app like any other: list, logs, reload, scale, save are for it, too.

    Of PORT alone it listens on 127.0.0.1; --bind says another address. Files are looked at when they are asked for, so
    new ones need no reload; a .br or .gz beside a file is sent to whom it suits; 404.html is the answer where there is
    no file. Nothing outside of DIR is served, not by links either.
    """
    if args:
        raise UsageError(f"fastlb serve: nothing stands behind --, and {args[0]!r} does")
    about = {name: given.pop(name) for name in ("is_spa", "homepage", "has_dotfiles", "username", "password_file")}
    settings = given_settings(given)
    site = _site(directory, {name: value for name, value in about.items() if value}, settings.get("env", {}))
    if port and "bind" in settings:
        raise UsageError(f"fastlb serve: PORT {port} and --bind both say where to listen: leave one out")
    if "bind" not in settings and (port or not any(os.environ.get(name) for name in PLACE_VARIABLES)):
        settings["bind"] = (f"127.0.0.1:{port or DEFAULT_PORT}",)
    settings = site_settings(site.arguments(), settings)
    target, arguments = settings.pop("target"), settings.pop("args")
    return start_request(requested_start(target, arguments, settings, os.environ), wait=not no_wait)


def _site(directory: str, about: dict[str, Any], env: dict[str, str]) -> Site:
    """Return what is to be served, with paths that mean the same in every directory.

    Raises:
        UsageError: it cannot be served.
    """
    if "password_file" in about:
        about["password_file"] = os.path.abspath(about["password_file"])
        if not os.access(about["password_file"], os.R_OK):
            raise UsageError(f"--basic-auth-password-file: {about['password_file']} cannot be read")
    site = Site(directory=os.path.abspath(directory), **about)
    try:
        password = {name: value for name, value in env.items() if name == PASSWORD_VARIABLE}
        return msgspec.structs.replace(read_site(site.arguments(), password), password="", needs_password=False)
    except SiteError as error:
        raise UsageError(f"fastlb serve: {error}") from None
