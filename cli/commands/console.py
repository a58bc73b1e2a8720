"""`fastlb console`: a page in the browser. Runs in the user's shell."""

from pathlib import Path

import click

from ...supervisor.errors import UsageError
from ..options import AppCommand
from ..output import Output

DEFAULT_BIND = "127.0.0.1:9615"
EXAMPLES = (
    "fastlb console",
    "fastlb console --allow-actions",
    "fastlb console --bind 10.0.0.5:9615 --token-file ~/.console-token",
)


@click.command("console", cls=AppCommand, examples=EXAMPLES, short_help="Show everything in a browser.")
@click.option("--bind", "-b", metavar="ADDRESS", default=DEFAULT_BIND, show_default=True, help="HOST:PORT, or PORT.")
@click.option("--allow-actions", is_flag=True, help="Apps can be reloaded, restarted, scaled and stopped there.")
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Holds the token, instead of one that is made at each start.",
)
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="By this name, too, browsers may call it.")
def command(bind: str, allow_actions: bool, token_file: Path | None, hosts: tuple[str, ...]) -> None:
    """Serve a page with all apps of this home until SIGTERM or ^C: live figures, the last hour, events, logs.

    The link that is printed holds a token, without which nothing is shown. It only reads, unless --allow-actions is
    given. An address that others reach needs a --token-file, and is not encrypted: best it stays behind a tunnel
    (ssh -L 9615:127.0.0.1:9615) or a proxy with TLS.
    """
    from ..console.access import new_token, read_token
    from ..console.server import is_private, listening, serve, url_of

    token = read_token(token_file) if token_file else new_token()
    errors = Output.for_errors()
    with listening(bind) as sock:
        url = url_of(sock)
        if not is_private(sock):
            if token_file is None:
                raise UsageError(f"--bind {bind}: others reach this address: it takes a --token-file, too")
            errors.warning(f"{bind} is reached from elsewhere, and what goes there and back is not encrypted")
        errors.line(f"console: {url}" + ("" if token_file else f"#token={token}"))
        errors.flush()
        serve(sock, token, hosts, may_act=allow_actions)
