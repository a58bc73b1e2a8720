"""Owns what a site of static files is told: how the settings are written as arguments of the app, and read again.

Pure. The command writes the arguments, the worker reads them. A password never stands among them: it is in a file, or
in the variable that PM2 has for it.
"""

import os
from collections.abc import Mapping, Sequence

import msgspec

# The app itself, as any target is written.
TARGET = "fastlb.worker.static_files.app:create_app()"
# In front of the import path: there only root could put a module that hides one of ours. The directory that is served
# must not be there, as what is uploaded into it would be imported.
IMPORT_DIRECTORY = "/"
PASSWORD_VARIABLE = "PM2_SERVE_BASIC_AUTH_PASSWORD"
_WITH_VALUE = {
    "--homepage": "homepage",
    "--basic-auth-username": "username",
    "--basic-auth-password-file": "password_file",
}
_FLAGS = {"--spa": "is_spa", "--dotfiles": "has_dotfiles"}
# What PM2's server reads.
_VARIABLES = {
    "PM2_SERVE_PATH": "directory",
    "PM2_SERVE_HOMEPAGE": "homepage",
    "PM2_SERVE_BASIC_AUTH_USERNAME": "username",
    PASSWORD_VARIABLE: "password",
}


class SiteError(Exception):
    """A site cannot be served as it is asked for; the message says what to change."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and to whom.

    Attributes:
        directory: everything in it, and nothing outside.
        homepage: the file that a directory stands for, and a site of one page; in `directory`.
        is_spa: a path of no file is answered with the homepage, unless it looks like a file.
        has_dotfiles: names that begin with a dot are served, too.
        username: who may; empty: everybody.
        password_file: in its first line the password, UTF-8.
        password: itself, where a variable says it; never among the arguments.
        needs_password: nothing is served without; true as well as soon as one of the three above is there.
    """

    directory: str = "."
    homepage: str = "index.html"
    is_spa: bool = False
    has_dotfiles: bool = False
    username: str = ""
    password_file: str = ""
    password: str = ""
    needs_password: bool = False

    def arguments(self) -> tuple[str, ...]:
        """Return what the app is started with."""
        flags = [flag for flag, name in _FLAGS.items() if getattr(self, name)]
        default = Site()
        values = [
            f"{option}={getattr(self, name)}"
            for option, name in _WITH_VALUE.items()
            if getattr(self, name) != getattr(default, name)
        ]
        return (self.directory, *flags, *values)


def read_site(arguments: Sequence[str], environ: Mapping[str, str]) -> Site:
    """Return the site that `arguments` ask for; what they do not say, variables of PM2's may.

    Behind the directory a port and a host may stand, as there; they are not looked at here.

    Raises:
        SiteError: there is no such argument, or half of what a password needs.
    """
    said: dict[str, object] = {
        name: environ[variable] for variable, name in _VARIABLES.items() if environ.get(variable)
    }
    said |= {"is_spa": environ.get("PM2_SERVE_SPA") == "true"}
    said |= {"needs_password": environ.get("PM2_SERVE_BASIC_AUTH") == "true"}
    if environ.get("PM2_SERVE_BASIC_AUTH") == "false":
        said |= {"username": "", "password": ""}
    places: list[str] = []
    for argument in arguments:
        option, _, value = argument.partition("=")
        if option in _WITH_VALUE:
            said[_WITH_VALUE[option]] = value
        elif argument in _FLAGS:
            said[_FLAGS[argument]] = True
        elif argument.startswith("-"):
            raise SiteError(f"a site has no argument {argument!r}: it has {', '.join([*_FLAGS, *_WITH_VALUE])}")
        else:
            places.append(argument)
    if places:
        said["directory"] = places[0]
    return _checked(msgspec.convert(said, Site))


def _checked(site: Site) -> Site:
    site = msgspec.structs.replace(site, homepage=site.homepage.strip("/") or "index.html")
    if not os.path.isdir(site.directory):
        raise SiteError(f"{site.directory!r} is no directory")
    secret = site.password_file or site.password
    if not (site.needs_password or site.username or secret):
        return site
    if not site.username or not secret:
        missing = "a user's name" if secret else "the file with the password" if site.username else "user and password"
        raise SiteError(f"it is to be served with a password, and {missing} is missing: nothing is served without")
    if ":" in site.username:
        raise SiteError("the user's name for basic auth has a colon in it, which ends it there (RFC 7617)")
    return msgspec.structs.replace(site, needs_password=True)
