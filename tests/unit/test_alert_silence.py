"""Silence: of an app that has files they say how long, whatever a predecessor has left; of another the predecessor."""

from pathlib import Path

import pytest
from fastlb.supervisor.alerts.silence import Silence
from fastlb.supervisor.home.paths import AppPaths


@pytest.mark.parametrize("is_kept", [True, False])
def test_silence_that_was_ended_meanwhile_stays_ended(tmp_path: Path, is_kept: bool) -> None:
    paths = AppPaths(tmp_path, "shop", is_kept=is_kept)
    paths.app_dir.mkdir(parents=True)
    predecessor = Silence(paths)
    predecessor.begin(3600.0)
    successor = Silence(paths)
    assert successor.is_on is is_kept
    predecessor.begin(0.0)
    successor.inherit(predecessor.until)
    assert not successor.is_on


def test_silence_goes_on_in_a_successor(tmp_path: Path) -> None:
    paths = AppPaths(tmp_path, "shop", is_kept=False)
    predecessor, successor = Silence(paths), Silence(paths)
    predecessor.begin(3600.0)
    successor.inherit(predecessor.until)
    assert successor.until == predecessor.until
    successor.inherit(None)
    assert successor.is_on, "a predecessor that says nothing ends nothing"
