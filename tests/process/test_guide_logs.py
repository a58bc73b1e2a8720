"""The log blocks of a guide to PM2, as they stand there: which files there are, and what a line in them looks like."""

import json
import re
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb, describe
from tests.support.node_packages import node_binary
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not node_binary(), reason="there is no node")

ECOSYSTEM = """
module.exports = { apps: [
  { name: 'forked', script: './server.js', exec_mode: 'fork', instances: 2,
    merge_logs: false,
    log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
    out_file: './logs/app-${instance}-out.log',
    error_file: './logs/app-${instance}-error.log',
    log_file: './logs/app-${instance}-combined.log',
    max_size: '10M', retain: 7, compress: true },
  { name: 'clustered', script: './server.js', exec_mode: 'cluster', instances: 2,
    merge_logs: true,
    log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
    out_file: './logs/app-cluster-out.log',
    error_file: './logs/app-cluster-error.log',
    log_file: './logs/app-cluster-combined.log',
    log_type: 'json', time: true },
] };
"""
SERVER = """
console.log('to out');
console.error('to err');
require('http').createServer((request, response) => response.end('x')).listen(0, '127.0.0.1');
"""
STREAMS = (("out", "out"), ("err", "error"))  # what they are called, and in the names of files
DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_files_and_lines_are_those_that_the_blocks_ask_for(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "ecosystem.config.js").write_text(ECOSYSTEM)
    (tmp_path / "server.js").write_text(SERVER)
    result = fastlb.cli("start", "ecosystem.config.js", cwd=tmp_path)
    assert result.returncode == 0, describe(result)
    logs = tmp_path / "logs"
    combined = [logs / f"app-{name}-combined.log" for name in ("0", "1", "cluster")]
    wait_until(lambda: [len(lines(path)) for path in combined] == [2, 2, 4], "all that was printed has been written")
    one_stream = [path for path in logs.iterdir() if path not in combined]
    wait_until(lambda: sum(len(lines(path)) for path in one_stream) == 8, "into the files of each stream, too")
    for number in "01":
        for word, file in STREAMS:
            assert re.fullmatch(f"{DATE}: to {word}\n", (logs / f"app-{number}-{file}.log").read_text())
    for stream, file in STREAMS:
        found = [json.loads(line) for line in lines(logs / f"app-cluster-{file}.log")]
        assert sorted((one["worker"], one["stream"], one["message"]) for one in found) == [
            (worker, stream, f"to {stream}") for worker in range(2)
        ]
        assert all(re.fullmatch(DATE, one["timestamp"]) for one in found)
