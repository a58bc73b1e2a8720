"""Which number names which worker: given once, kept while the worker has its place, never given twice."""

from pathlib import Path

import pytest
from fastlb.supervisor.home.paths import prepare_home
from fastlb.supervisor.home.worker_ids import FILE_NAME, Place, Presence, WorkerIds, claim_ids, read_ids, updated

WHOLE = Presence((0, 1), is_whole=True)


def test_numbers_count_over_all_apps(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    claim_ids(tmp_path, ["shop"], {"shop": WHOLE})
    ids = claim_ids(tmp_path, ["blog", "shop"], {"blog": WHOLE})
    assert ids.apps == {"shop": {0: 0, 1: 1}, "blog": {0: 2, 1: 3}}
    assert read_ids(tmp_path) == ids
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert (ids.place_of(3), ids.place_of(4)) == (Place("blog", 1), None)


def test_looking_at_an_empty_home_changes_nothing(tmp_path: Path) -> None:
    claim_ids(tmp_path, [], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", '{"apps": 3}', '{"next_id": "x"}'])
def test_damaged_file_is_made_anew(tmp_path: Path, text: str) -> None:
    prepare_home(tmp_path)
    (tmp_path / FILE_NAME).write_text(text)
    assert claim_ids(tmp_path, ["shop"], {"shop": WHOLE}).apps == {"shop": {0: 0, 1: 1}}


def given(next_id: int, **apps: dict[int, int]) -> WorkerIds:
    return WorkerIds(next_id, apps)


@pytest.mark.parametrize(
    ("before", "known", "present", "after"),
    [
        (given(2, shop={0: 0, 1: 1}), ["shop"], {"shop": WHOLE}, None),
        (given(2, shop={0: 0, 1: 1}), ["shop"], {"shop": Presence((0,), is_whole=False)}, None),
        (given(2, shop={0: 0, 1: 1}), ["shop"], {"shop": Presence((0,), is_whole=True)}, given(2, shop={0: 0})),
        (given(2, shop={0: 0}), ["shop"], {"shop": WHOLE}, given(3, shop={0: 0, 1: 2})),
        (given(3, shop={0: 0, 1: 2}), ["blog", "shop"], {}, None),
        (given(3, shop={0: 0}, blog={0: 2}), ["blog"], {}, given(3, blog={0: 2})),
        (given(3, shop={0: 0}), [], {}, given(0)),
    ],
    ids=["same", "one is on its way", "scaled down", "never given twice", "nobody looked", "deleted", "all deleted"],
)
def test_what_follows_from_what_is_there(
    before: WorkerIds, known: list[str], present: dict[str, Presence], after: WorkerIds | None
) -> None:
    assert updated(before, known, present) == after
