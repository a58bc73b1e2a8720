"""`fastlb export`: an app for Kubernetes, compose, systemd, HAProxy or nginx. Runs in the user's shell."""

import os
from typing import Any

import click

from ...supervisor.errors import UsageError
from ...supervisor.home.stored_config import load_config
from ...supervisor.settings.app_config import AppConfig
from ..apps import paths_of, resolve_name
from ..config_files.apps import read_apps
from ..config_files.reading import is_config_file
from ..declared.report import show_printed, show_problems
from ..export.compose import compose
from ..export.exported_app import ExportedApp
from ..export.haproxy import haproxy
from ..export.kubernetes import kubernetes
from ..export.nginx import nginx
from ..export.systemd import systemd
from ..file_options import environment_option, only_option
from ..launching import known_apps
from ..options import AppCommand, complete_target
from ..output import Output
from ..start_request import request_of_file
from ..startup.boot_app import find_owner

FORMATS = ("kubernetes", "systemd", "compose", "haproxy", "nginx")
OF_IMAGES = ("kubernetes", "compose")
OF_HOSTS = ("haproxy", "nginx")
EXAMPLES = (
    "fastlb export kubernetes fastlb.toml --image shop:7 | kubectl apply -f -",
    "fastlb export haproxy shop --host 10.0.0.1 --host 10.0.0.2",
    "fastlb export compose ecosystem.config.js --env production > compose.yaml",
)


@click.command("export", cls=AppCommand, examples=EXAMPLES, short_help="Print apps as other systems have them.")
@click.argument("system", metavar=f"[{'|'.join(FORMATS)}]", type=click.Choice(FORMATS))
@click.argument("source", metavar="FILE|NAME", shell_complete=complete_target)
@click.option("--image", default="", metavar="IMAGE", help="What containers run; default: what the app is called.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="A machine that runs the app; repeatable.")
@only_option
@environment_option
def command(system: str, source: str, image: str, hosts: tuple[str, ...], **chosen: Any) -> None:
    """Print an app, or those of a configuration file, as another system has them, from the same settings.

    What cannot be said there is a comment. Values of environment variables are not written. Nothing is changed.
    """
    if image and system not in OF_IMAGES:
        raise UsageError(f"fastlb export {system} --image: only {' and '.join(OF_IMAGES)} have images: leave it out")
    if hosts and system not in OF_HOSTS:
        raise UsageError(f"fastlb export {system} --host: only {' and '.join(OF_HOSTS)} name hosts: leave it out")
    apps = [ExportedApp(config) for config in _configs(source, **chosen)]
    Output.for_results().line(_text(system, apps, image, hosts).rstrip("\n"))


def _text(system: str, apps: list[ExportedApp], image: str, hosts: tuple[str, ...]) -> str:
    if system == "kubernetes":
        return "---\n".join(kubernetes(app, image or app.label) for app in apps)
    if system == "compose":
        return compose(apps, image)
    if system == "systemd":
        return systemd(apps, find_owner(""))
    return haproxy(apps, hosts) if system == "haproxy" else nginx(apps, hosts)


def _configs(source: str, only: tuple[str, ...], environment: str) -> list[AppConfig]:
    if source in known_apps() or not is_config_file(source):
        if only or environment:
            raise UsageError(f"fastlb export {source}: --only and --env are for a configuration file: leave them out")
        return [load_config(paths_of(resolve_name(source)))]
    found = read_apps(source, environment=environment, only=only)
    show_printed(found.printed)
    if found.errors:
        show_problems(found.errors)
        raise UsageError(f"{source} has errors, so nothing is exported")
    is_pm2 = found.words == "pm2"
    return [request_of_file(app, {}, os.environ, drops_what_does_not_fit=is_pm2).config for app in found.apps]
