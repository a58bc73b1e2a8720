"""What a line of PM2's means here, and that every command and flag of PM2's has its verdict."""

from typing import get_args

import pytest
from fastlb.cli.main import COMMANDS as OURS
from fastlb.cli.main import cli
from fastlb.cli.pm2.commands import COMMANDS, CommandVerdict, find_command
from fastlb.cli.pm2.flags import FLAGS, OWN_FLAGS, find_flag
from fastlb.cli.pm2.translation import Surroundings, Translation, translate
from fastlb.cli.pm2_link import surroundings
from fastlb.supervisor.errors import UsageError

# Every command and alias of lib/binaries/CLI.js in PM2 7.0.3.
THEIR_COMMANDS = """
    start restart reload stop delete del startOrRestart startOrReload startOrGracefulReload scale list ls l ps status
    jlist prettylist slist sysinfos describe desc info show env pid id logs flush reloadLogs logrotate monit dashboard
    dash imonit save dump cleardump resurrect startup unstartup kill ping update updatePM2 deepUpdate reset sendSignal
    send attach trigger inspect deploy pull forward backward set get unset multiset conf config install module:install
    module:update module:generate uninstall package publish module:publish autoinstall ecosystem init create examples
    serve expose profile:mem profile:cpu report link unlink monitor unmonitor open plus register login logout
    install-otel uninstall-otel completion
""".split()  # noqa: SIM905 - a list of its lines would be three times as long
THEIR_FLAGS = """
    -v --version -s --silent --ext -n --name -m --mini-list --interpreter --interpreter-args --node-args -o --output -e
    --error -l --log --filter-env --log-type --log-date-format --time --disable-logs --env -a --update-env -f --force -i
    --instances --parallel --shutdown-with-message -p --pid -k --kill-timeout --listen-timeout --max-memory-restart
    --restart-delay --exp-backoff-restart-delay --max-restarts -x --execute-command -u --user --uid --gid --namespace
    --cwd --hp --wait-ip --service-name -c --cron --cron-restart -w --write --no-daemon --source-map-support
    --disable-source-map-support --only --wait-ready --merge-logs --watch --ignore-watch --watch-delay --no-color
    --no-vizion --no-autostart --no-autorestart --no-treekill --no-pmx --no-automation --stop-exit-codes --trace
    --disable-trace --v8 --event-loop-inspector --deep-monitoring --sort --attach --fresh --daemon --container --dist
    --image-name --node-version --dockerdaemon
""".split()  # noqa: SIM905

# Every command of a guide whose scripts people copy.
OF_THE_GUIDE = """
    list
    list --no-color
    status
    show tron-energy-api
    logs
    logs --err --lines 5 --nostream
    logs --lines 1000
    logs tron-energy-api --err --lines 50
    logs tron-energy-api --lines 10 --err --nostream
    flush
    monit
    save
    kill
    resurrect
    scale tron-energy-api +2
    scale tron-energy-api -1
    restart tron-energy-api
    reload tron-energy-api
    reload ecosystem.config.js --env production
    start ecosystem.config.js --env production
    start ecosystem.config.js --only app-dev
    stop all
    stop app-dev
    trigger tron-energy-api generateHeapDump
"""

OPTIONS = {
    "start": {"--workers", "--name", "--kill-timeout", "--fork", "--exec-mode", "--stop-exit-codes", "--time", "--env",
              "--watch", "--watch-include", "--cron-restart"},
    "run": {"--workers", "--name", "--fork"},
    "reload": {"--parallel"},
    "logs": {"--pm-id", "--lines", "--out", "--err", "--nostream", "--follow"},
    "list": {"--no-color", "--instances", "--watch"},
    "signal": set(),
    "serve": {"--name", "--bind", "--spa", "--env", "--basic-auth-username"},
}


def meaning(line: str, running: tuple[str, ...] = ()) -> Translation:
    commands = {*OURS, "signal", "set"}
    around = Surroundings(commands, lambda name: OPTIONS.get(name, set()), lambda name: name in running, cpus=8)
    return translate(line.split(), around)


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("start app.js -i 4 -n shop", ["start --workers 4 --name shop app.js"]),
        ("start app.js -i max", ["start --workers max app.js"]),
        ("start app.js -i 0", ["start --workers max app.js"]),
        ("start app.js -i -1", ["start --workers 7 app.js"]),
        ("start app.js", ["start --fork app.js"]),
        ("start worker.py -k 3000 -- a -n b", ["start --kill-timeout 3000ms worker.py -- a -n b"]),
        ("start app.js -i 2 --kill-timeout=3s", ["start --workers 2 --kill-timeout 3s app.js"]),
        ("start app.js -i 2 --stop-exit-codes 0 143 --time", [
            "start --workers 2 --stop-exit-codes 0 --stop-exit-codes 143 --time app.js"
        ]),
        ("start app.py --watch --cron 5", ["start --watch --cron-restart 5 app.py"]),
        ("start app.py --watch src --ext js,html", [
            "start --watch src --watch-include *.js --watch-include *.html app.py"
        ]),
        ("start a.py b.py", ["start a.py", "start b.py"]),
        ("start", ["start ecosystem.config.js"]),
        ("start ecosystem.config.js --env production", ["start --env production ecosystem.config.js"]),
        ("start shop", ["restart shop"]),
        ("start app.py --no-daemon", ["run app.py"]),
        ("start app.py --attach", ["start app.py", "logs --pm-id app.py --follow"]),
        ("scale shop -1", ["scale shop -1"]),
        ("scale shop +2", ["scale shop +2"]),
        ("ls --no-color", ["list --no-color"]),
        ("list --watch", ["list --watch"]),
        ("logs shop --lines 10 --err --nostream", ["logs --lines 10 --err --nostream --pm-id shop"]),
        ("restart shop -k 3000 -i 4 --time", [
            "set shop kill_timeout=3000ms time=on", "restart shop", "scale shop 4"
        ]),
        ("reload shop --stop-exit-codes 0 143", ["set shop stop_exit_codes=0 143", "reload shop"]),
        ("restart shop --watch --ext js,html", ["set shop watch=on watch_include=*.js *.html", "restart shop"]),
        ("restart shop --cron-restart 0", ["set shop cron_restart=0", "restart shop"]),
        ("reload ecosystem.config.js", ["reload ecosystem.config.js"]),
        ("logs shop", ["logs --out --err --pm-id shop"]),
        ("reload all --parallel 4", ["reload --parallel 4 all"]),
        ("startOrReload ecosystem.json", ["reload ecosystem.json"]),
        ("sendSignal SIGUSR2 shop", ["signal shop SIGUSR2"]),
        ("dump", ["save"]),
        ("serve", ["serve --bind 0.0.0.0:8080 ."]),
        ("serve dist 9000 --spa --name site", ["serve --spa --name site --bind 0.0.0.0:9000 dist"]),
        ("serve --port 9000 dist", ["serve --bind 0.0.0.0:9000 dist"]),
        ("serve . --basic-auth-username u --basic-auth-password p",
         ["serve --basic-auth-username u --env PM2_SERVE_BASIC_AUTH_PASSWORD=p --bind 0.0.0.0:8080 ."]),
        ("-v", ["version --number"]),
        ("init simple", ["init"]),
        ("kill --help", ["kill --help"]),
        ("stop all -h", ["stop --help"]),
        ("start app.js -i 2 --help", ["start --help"]),
        ("ecosystem", ["init"]),
        ("", ["--help"]),
    ],
)  # fmt: skip
def test_line_means(line: str, ours: list[str]) -> None:
    assert [" ".join(words) for words in meaning(line, running=("shop",)).lines] == ours


@pytest.mark.parametrize(
    ("line", "notes"),
    [
        ("start app.py --no-pmx", ["--no-pmx has no effect: Nothing is measured inside the app"]),
        ("start app.py --hp /x --no-vizion", ["--hp has", "--no-vizion has"]),
        ("stop shop -i 4", ["-i has no effect: it counts at a start, `fastlb start NAME --workers`"]),
        ("start app.py -p /run/x.pid", ["-p has no effect: There is no pid file"]),
    ],
)
def test_flag_without_effect_says_so(line: str, notes: list[str]) -> None:
    given = meaning(line).notes
    assert len(given) == len(notes)
    assert [note for note, begin in zip(given, notes, strict=True) if not note.startswith(begin)] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("strat app.js", "pm2 has no command 'strat'; did you mean start?"),
        ("start app.js --instnaces 3", "pm2 has no flag --instnaces; did you mean --instances?"),
        ("start app.js -i", "pm2 -i: its value is missing"),
        ("deploy production", "pm2 deploy is not here: Let git, or your pipeline, put the new code"),
        ("install pm2-logrotate", "pm2 install is not here: Nothing is installed into it"),
    ],
)
def test_what_is_not_here_is_one_sentence(line: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        meaning(line)
    assert raised.value.message.startswith(message)


def test_line_may_be_silent() -> None:
    assert meaning("stop shop -s").is_silent
    assert not meaning("stop shop").is_silent


@pytest.mark.parametrize("line", OF_THE_GUIDE.strip().splitlines())
def test_command_of_the_guide_means_something(line: str) -> None:
    around = surroundings(cli)
    words = line.split()
    command = find_command(words[0])
    assert command is not None
    if command.verdict_among(OURS) == "later":
        with pytest.raises(UsageError, match="is to come"):
            translate(words, around)
        return
    translation = translate(words, around)
    assert len(translation.lines) == 1
    assert [note for note in translation.notes if "--env" not in note] == []


@pytest.mark.parametrize("name", THEIR_COMMANDS)
def test_every_command_there_has_its_verdict(name: str) -> None:
    command = find_command(name)
    assert command is not None
    assert command.here.endswith(".")
    if command.verdict_among(OURS) in ("same", "better", "different") and command.ours:
        assert cli.get_command(None, command.ours[0]), command.ours  # type: ignore[arg-type]
    else:
        assert command.verdict_among(OURS) in get_args(CommandVerdict)


@pytest.mark.parametrize("name", THEIR_FLAGS)
def test_every_flag_there_has_its_verdict(name: str) -> None:
    flag = find_flag(name)
    assert flag is not None
    assert flag.here.endswith(".")
    assert flag.verdict in get_args(CommandVerdict)


def test_no_name_is_written_twice() -> None:
    commands = [name for command in COMMANDS for name in command.names]
    flags = [name for flag in FLAGS for name in flag.names]
    assert len(set(commands)) == len(commands)
    assert len(set(flags)) == len(flags)
    assert set(OWN_FLAGS) <= set(OURS)
