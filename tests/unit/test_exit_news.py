"""Who is told of the end of a worker's process: one that stays, the newest first, and nobody's end is lost."""

from fastlb.supervisor.python.exit_news import MOST_UNHANDLED, ExitNews


class Listener:
    """A process that notes what it is told."""

    def __init__(self, pid: int, rank: int = 1) -> None:
        self.pid = pid
        self.rank = rank
        self.told: list[int] = []

    def say_exited(self, pid: int) -> None:
        """Note it."""
        self.told.append(pid)


def test_one_of_the_newest_generation_is_told() -> None:
    news = ExitNews()
    old, new, gone = Listener(1, rank=1), Listener(2, rank=2), Listener(3)
    for listener in (old, new, gone):
        news.begin(listener)
    news.end(gone)
    assert (old.told, new.told) == ([], [3])


def test_process_that_never_served_is_told_of_as_well() -> None:
    news, living = ExitNews(), Listener(1)
    news.begin(living)
    news.end(Listener(2))
    assert living.told == [2]


def test_what_nobody_could_be_told_is_told_to_the_next() -> None:
    news, leaving, gone = ExitNews(), Listener(1), Listener(2)
    news.begin(leaving)
    news.begin(gone)
    leaving.rank = 0
    news.end(gone)
    assert leaving.told == []
    news.end(leaving)
    following = Listener(3)
    news.begin(following)
    assert following.told == [2, 1]


def test_what_was_told_and_not_handled_is_told_again() -> None:
    news, first, second = ExitNews(), Listener(1), Listener(2)
    news.begin(first)
    news.end(Listener(8))
    news.end(Listener(9))
    news.handled(first, 8)
    news.begin(second)
    news.end(first)
    assert second.told == [9, 1]


def test_number_that_lives_again_is_not_told() -> None:
    news, gone = ExitNews(), Listener(7)
    news.end(gone)
    news.begin(Listener(7))
    other = Listener(8)
    news.begin(other)
    assert other.told == []


def test_process_that_handles_nothing_is_not_told_without_end() -> None:
    news, silent = ExitNews(), Listener(1)
    news.begin(silent)
    for pid in range(10, 10 + 2 * MOST_UNHANDLED):
        news.end(Listener(pid))
    assert len(silent.told) == MOST_UNHANDLED
    news.handled(silent, 10)
    assert silent.told[-1] == 10 + MOST_UNHANDLED
    news.handled(silent, 99_999)  # a lie changes nothing


def test_only_the_last_ends_are_kept() -> None:
    news = ExitNews()
    for pid in range(5000):
        news.end(Listener(pid))
    living = Listener(9999)
    news.begin(living)
    assert living.told == list(range(5000 - 1024, 5000 - 1024 + MOST_UNHANDLED))
