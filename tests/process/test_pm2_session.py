"""Twenty commands as a PM2 user types them, by the link `pm2`, one after the other."""

import json
import subprocess

from fastlb.supervisor.version import VERSION

from tests.support.fastlb_process import APPS, COMMAND, Fastlb
from tests.support.programs import write_program
from tests.support.waiting import scaled


class Session:
    """The link `pm2` of one installation, in a folder with a program."""

    def __init__(self, fastlb: Fastlb) -> None:
        self.fastlb = fastlb
        self.link = fastlb.directory / "pm2"
        self.link.symlink_to(COMMAND)
        write_program(fastlb.directory / "job.sh", "exec sleep 1000")

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Type `pm2 LINE`."""
        return subprocess.run(
            [str(self.link), *line.split()],
            env=self.fastlb.env,
            cwd=self.fastlb.directory,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=scaled(60),
        )

    def ok(self, line: str) -> str:
        """Type `pm2 LINE`, which succeeds; return what it prints."""
        result = self.run(line)
        assert result.returncode == 0, f"pm2 {line}: {result.stdout}{result.stderr}"
        return result.stdout

    def table(self) -> list[list[str]]:
        """Return id, name, mode, restarts and status of each row of the list."""
        return [row.split()[:5] for row in self.ok("ls").splitlines()[1:]]


def test_a_session(fastlb: Fastlb) -> None:
    pm2 = Session(fastlb)
    assert pm2.ok("-v") == f"{VERSION}\n"
    start = f"start asgi_probe:app --cwd {APPS} -n api -i 2 -k 3000 --no-pmx"
    result = pm2.run(start)
    assert (result.returncode, result.stderr.splitlines()[0]) == (
        0,
        "note: --no-pmx has no effect: Nothing is measured inside the app, and nothing is sent away: leave it out",
    )
    assert "kill_timeout" in pm2.ok("describe api")
    assert fastlb.app("api").show()["settings"]["kill_timeout"] == 3.0
    pm2.ok("start ./job.sh --name job -x --restart-delay 100")
    both = [["0", "api", "cluster", "0", "online"], ["1", "api", "cluster", "0", "online"]]
    assert pm2.table() == [*both, ["2", "job", "fork", "0", "online"]]
    assert {found["pm2_env"]["status"] for found in json.loads(pm2.ok("jlist"))} == {"online"}
    assert pm2.ok("id api") == "[ 0, 1 ]\n"
    assert pm2.ok("pid 2").strip().isdigit()
    assert "NODE_APP_INSTANCE: 1" in pm2.ok("env 1")
    assert pm2.ok("scale api +1").startswith("api: scaled from 2 to 3 workers")
    assert pm2.ok("reload api") == "api: reloaded 3 workers\n"
    assert pm2.ok("restart api --kill-timeout 4000").endswith("\napi: restarted 3 workers\n")
    assert fastlb.app("api").show()["settings"]["kill_timeout"] == 4.0
    refused = pm2.run("restart api --log-type json")
    assert (refused.returncode, "restarted" in refused.stdout) == (2, False)
    assert pm2.ok("restart 2 -s") == ""
    assert pm2.ok("stop 0") == "api: stopped worker 0\n"
    assert pm2.ok("start 0") == "api: started worker 0\n"
    assert pm2.ok("stop /^jo/") == "job: stopped\n"
    assert "saved 2 apps, 1 of them running" in pm2.ok("save")
    assert pm2.ok("ping") == "api: pong\n"
    assert pm2.ok("kill") == "api: stopped\n"
    assert pm2.run("deploy production").stderr.startswith("error: pm2 deploy is not here: Let git")
    assert sorted(pm2.ok("resurrect").splitlines())[1] == "job: is stopped, as it was"
    assert {row[4] for row in pm2.table() if row[1] == "api"} == {"online"}
    assert pm2.ok("delete all -s") == ""
    assert pm2.run("ls").stderr.startswith("no apps yet")
