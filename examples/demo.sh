#!/bin/sh
# `make demo`: the example app on 8 workers, ten answers, the list of what runs. May be run again and again.
# usage: demo.sh DIRECTORY_OF_THE_FASTLB_COMMAND
set -eu
bin=$1
cd "$(dirname "$0")/.."
fastlb="$bin/fastlb"
if "$fastlb" show demo >/dev/null 2>&1; then
    "$fastlb" delete demo >/dev/null
fi
port=$("$bin/python" - <<'PY'
import socket

for wanted in (8000, 0):  # 0: any free port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            continue
        print(probe.getsockname()[1])
        break
PY
)
"$fastlb" start --name demo --workers 8 --bind "127.0.0.1:$port" --app-dir examples hello_asgi:app
echo
echo "Ten requests:"
"$bin/python" - "$port" <<'PY'
import sys
import urllib.request

for _ in range(10):
    with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=10) as answer:
        print("   ", answer.read().decode().strip())
PY
echo
"$fastlb" list
echo
echo "It answers at http://127.0.0.1:$port/"
echo "Reload it:    $fastlb reload demo"
echo "Stop it:      $fastlb stop demo        (or forget it: $fastlb delete demo)"
