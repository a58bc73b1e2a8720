"""Owns what the words mean by which commands are told whom to do something to: names, numbers, namespaces, `all` and
/patterns/.

Runs in the user's shell. It looks at files and, for a number, asks supervisors; it must change nothing but the file of
numbers.

A word is the name of an app; else a namespace; else the number of a worker, which stands for that worker alone; else a
configuration file, which stands for the apps that were started from it.
"""

import functools
import re
from collections.abc import Callable, Sequence

import msgspec

from ..supervisor.errors import FastlbError, UsageError
from ..supervisor.home.known_apps import list_apps
from ..supervisor.home.paths import AppPaths, default_home
from ..supervisor.home.stored_config import load_config
from ..supervisor.home.worker_ids import Place, WorkerIds
from ..supervisor.suggestions import nearest

DEFAULT_NAMESPACE = "default"


class Target(msgspec.Struct, frozen=True):
    """Whom a command is for: an app, or some of its workers.

    Attributes:
        name: of the app.
        workers: their numbers in the app; empty: the app with all that it has.
    """

    name: str
    workers: tuple[int, ...] = ()


def resolve_targets(words: Sequence[str]) -> list[Target]:
    """Return whom `words` mean, each app once. Workers that are all that the app has stand for the app.

    Raises:
        FastlbError: a word means nobody; the message names the nearest.
        UsageError: a pattern is none.
    """
    known = list_apps(default_home())
    present = functools.cache(_present_ids)
    found: dict[str, set[int] | None] = {}
    for word in words:
        for name, worker in _meant(word, known, present):
            chosen = found.setdefault(name, set())
            if worker is None or chosen is None:
                found[name] = None
            else:
                chosen.add(worker)
    return [_target(name, chosen, present) for name, chosen in found.items()]


def _present_ids() -> WorkerIds:
    """Return the numbers of the workers that there are, or are to be: what is written down may name others as well."""
    from .instances import claimed_ids  # only numbers need it

    return claimed_ids()


def resolve_names(words: Sequence[str]) -> list[str]:
    """Return the names of the apps that `words` mean, each once; the number of a worker means its app.

    Raises:
        FastlbError, UsageError: as `resolve_targets`.
    """
    return [target.name for target in resolve_targets(words)]


def resolve_whole_apps(words: Sequence[str]) -> list[str]:
    """Return the names of the apps that `words` mean, for what can be done to whole apps only.

    Raises:
        FastlbError, UsageError: as `resolve_targets`, or a word means some workers of an app.
    """
    targets = resolve_targets(words)
    for target in targets:
        refuse_some_workers(target)
    return [target.name for target in targets]


def resolve_whole_app(word: str) -> str:
    """Return the name of the one app that `word` means, for what can be done to a whole app only.

    Raises:
        FastlbError, UsageError: as `resolve_target`, or it means some workers of an app.
    """
    target = resolve_target(word)
    refuse_some_workers(target)
    return target.name


def refuse_some_workers(target: Target) -> None:
    """Raise for what is meant for some workers, where only whole apps can be.

    Raises:
        UsageError: it is.
    """
    if target.workers:
        name = target.name
        raise UsageError(f"that number is of one worker of {name}, and this is done to whole apps: say {name}")


def resolve_target(word: str) -> Target:
    """Return the one app, or the worker, that `word` means.

    Raises:
        FastlbError: it means nobody, or several apps; the message names them.
        UsageError: a pattern is none.
    """
    targets = resolve_targets([word])
    if len(targets) > 1:
        raise FastlbError(f"{word} means {len(targets)} apps, and this is for one: {_listed(_names(targets))}")
    return targets[0]


def resolve_name(word: str) -> str:
    """Return the name of the one app that `word` means.

    Raises:
        FastlbError, UsageError: as `resolve_target`.
    """
    return resolve_target(word).name


def unknown_app(word: str, known: Sequence[str]) -> FastlbError:
    """The message for a word that means none of `known`."""
    suggestion = nearest(word, [*known, "all"])
    if suggestion:
        return FastlbError(f"there is no app {word!r}; did you mean {suggestion}?")
    names = f"there are {_listed(known)}" if known else "there are none yet"
    return FastlbError(f"there is no app {word!r}: {names}")


def namespace_of(name: str) -> str:
    """Return the namespace of an app; the usual one where its settings cannot be read."""
    try:
        config = load_config(AppPaths(default_home(), name))
    except FastlbError:
        return DEFAULT_NAMESPACE
    return str(getattr(config, "namespace", "")) or DEFAULT_NAMESPACE


def _meant(word: str, known: Sequence[str], present: Callable[[], WorkerIds]) -> list[tuple[str, int | None]]:
    """Return each app, or worker of one, that a word means."""
    if word in known:
        return [(word, None)]
    if word == "all":
        return [(name, None) for name in _all(known)]
    if len(word) > 2 and word.startswith("/") and word.endswith("/"):
        return [(name, None) for name in _matching(word, known)]
    members = [name for name in known if namespace_of(name) == word]
    if members:
        return [(name, None) for name in members]
    if word.isascii() and word.isdigit():
        place = _place(int(word), present())
        return [(place.app, place.worker)]
    if "." in word and (of_file := _of_file(word, known)):
        return [(name, None) for name in of_file]
    raise unknown_app(word, known)


def _of_file(word: str, known: Sequence[str]) -> list[str]:
    from .declared.members import apps_of_file  # only a file needs it

    return apps_of_file(word, known)


def _all(known: Sequence[str]) -> Sequence[str]:
    if not known:
        raise FastlbError("there are no apps: start one with `fastlb start MODULE:ATTRIBUTE`")
    return known


def _matching(word: str, known: Sequence[str]) -> list[str]:
    try:
        pattern = re.compile(word[1:-1])
    except re.error as error:
        raise UsageError(f"{word} is no pattern: {error}") from None
    names = [name for name in known if pattern.search(name)]
    if not names:
        there = f"there are {_listed(known)}" if known else "there are none yet"
        raise FastlbError(f"{word} matches no app: {there}")
    return names


def _place(number: int, ids: WorkerIds) -> Place:
    place = ids.place_of(number)
    if place is None:
        raise FastlbError(f"there is no worker {number}: {_numbers(ids)}")
    return place


def _numbers(ids: WorkerIds) -> str:
    given = [
        f"{app} has {_listed([str(own) for own in sorted(numbers.values())])}"
        for app, numbers in sorted(ids.apps.items())
        if numbers
    ]
    return "; ".join(given) if given else "there are none yet"


def _target(name: str, chosen: set[int] | None, present: Callable[[], WorkerIds]) -> Target:
    if chosen is None or chosen >= set(present().apps.get(name, {})):
        return Target(name)
    return Target(name, tuple(sorted(chosen)))


def _names(targets: Sequence[Target]) -> list[str]:
    return [target.name for target in targets]


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
