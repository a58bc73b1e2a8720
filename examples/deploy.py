"""Starts what a configuration file says, then has each app load its new code: `python deploy.py fastlb.toml`.

Exit code 0: all apps serve the new code. Otherwise the old workers of the app that failed go on.
"""

import sys

from fastlb.client import Client, FastlbError


def deploy(client: Client, file: str) -> None:
    for answer in client.start(file):
        print(f"{answer.app}: {answer.text}")
        operation = client.reload(answer.app)
        for step in operation:
            print(f"{answer.app}: {step.text} ({step.admitted}/{step.workers})", flush=True)
        print(f"{answer.app}: {operation.text}")


try:
    deploy(Client(), sys.argv[1])
except FastlbError as error:
    print(error.details, file=sys.stderr)
    sys.exit(f"not deployed: {error.message}")
