"""Looks at all apps every 30 seconds, and says what is over a threshold: `python monitor.py [SECONDS]`."""

import sys
import time

from fastlb.client import Client

MOST = {"cpu_percent": 80, "rss_bytes": 850 << 20, "restarts": 5, "p99_ms": 1000}
WELL = ("online", "reloading", "starting", "stopped", "finished")

while True:
    for app in Client().list():
        if app.status not in WELL:
            print(f"{app.name} is {app.status}", flush=True)
        for worker in app.workers:
            for name, most in MOST.items():
                if (getattr(worker, name) or 0) > most:
                    print(f"{app.name}, worker {worker.id}: {name} is {getattr(worker, name):g}", flush=True)
    time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
