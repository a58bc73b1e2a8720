"""A FastAPI app (needs `pip install fastapi`): `fastlb start --workers 8 hello_fastapi:app`"""

import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str | int]:
    """Say which worker answers."""
    return {"hello": "world", "worker": os.environ.get("FASTLB_WORKER_ID", "?"), "pid": os.getpid()}
