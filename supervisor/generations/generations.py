"""Owns which settings and which environment the workers of each generation have. Runs in the supervisor process.

A generation keeps what it was begun with: a worker that is started again, or one more, is like its brothers. What
changes is wanted first, and had by the next generation, if that comes to be. It starts and touches no process.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from ..errors import FastlbError, StartFailed
from ..processes.environment import AppEnvironment, app_environment
from ..settings.app_config import AppConfig
from ..settings.changes import check_can_reload, needing_start
from ..settings.declared import check_config
from ..settings.traits import WorkerTraits
from .change import Change

FIRST = 1


@dataclass(frozen=True)
class GenerationSettings:
    """What all workers of a generation have in common.

    Attributes:
        config: the settings; the number of workers is the app's, and may have changed since.
        inherited: what the environment was made of.
        environment: of every process, but for what tells one from another.
    """

    config: AppConfig
    inherited: Mapping[str, str]
    environment: AppEnvironment

    @classmethod
    def of(cls, config: AppConfig, inherited: Mapping[str, str]) -> "GenerationSettings":
        """Make the environment.

        Raises:
            FastlbError: a file of `env_file` cannot be read, or there is no such user.
        """
        return cls(config, inherited, app_environment(config, inherited))

    def resized(self, workers: int) -> "GenerationSettings":
        """Return the same for so many workers."""
        return dataclasses.replace(self, config=replace(self.config, workers=workers))


class Generations:
    """The settings of every generation that has workers, and of the next one.

    Args:
        config: of the first one.
        traits: of the app's kind of workers.
        inherited: the environment of whoever started the app.

    Attributes:
        current: the number of the generation to which workers belong that are started from now on.
        wanted: the settings of the next one.

    Raises:
        FastlbError: as GenerationSettings.of.
    """

    def __init__(self, config: AppConfig, traits: WorkerTraits, inherited: Mapping[str, str]) -> None:
        self.current = FIRST
        self.wanted = config
        self._traits = traits
        self._by_number = {FIRST: GenerationSettings.of(config, inherited)}

    @property
    def config(self) -> AppConfig:
        """The settings of the current generation."""
        return self._by_number[self.current].config

    @property
    def given_variables(self) -> list[Mapping[str, str]]:
        """The variables that settings and files give to each generation, and settings to the next one."""
        return [self.wanted.env, *(settings.environment.given for settings in self._by_number.values())]

    def of(self, number: int) -> GenerationSettings:
        """Return what the workers of a generation have."""
        return self._by_number[number]

    def want(self, config: AppConfig) -> None:
        """Have the next generation have these settings.

        Raises:
            UsageError: they make no sense, or it takes a start to have them.
        """
        self._check(config)
        self.wanted = config

    def resize(self, workers: int) -> None:
        """Take note of how many workers the app has now."""
        self.wanted = replace(self.wanted, workers=workers)
        self._by_number[self.current] = self._by_number[self.current].resized(workers)

    def needing_start(self, config: AppConfig) -> list[str]:
        """Return the names of the settings in `config` that the next generation cannot have."""
        return needing_start(self.config, config)

    @contextmanager
    def next(self, change: Change, has_workers: Callable[[int], bool]) -> Iterator[AppConfig]:
        """Begin the next generation, and yield its settings; within the context its workers are started.

        When that fails and none of its workers is left, those that are started later are as before. What `change`
        brings stays wanted only when it succeeds.

        Args:
            change: what it is to have besides what is wanted.
            has_workers: whether a generation has workers that serve.

        Raises:
            UsageError: `change` makes no sense, or it takes a start; nothing has begun.
            StartFailed: there can be no such environment; nothing has begun.
        """
        before = self._by_number[self.current]
        settings = self._next_settings(change, before)
        self.current += 1
        number = self.current
        self._by_number[number] = settings
        try:
            yield settings.config
        except BaseException:
            # Those that it has keep what they were started with; there are as many to be as before.
            kept = settings if has_workers(number) else before
            self._by_number[number] = kept.resized(before.config.workers)
            raise
        self.wanted = self.config

    def keep_only(self, numbers: set[int]) -> None:
        """Forget generations that are gone; `numbers`: of those that have workers."""
        kept = {*numbers, self.current}
        self._by_number = {number: settings for number, settings in self._by_number.items() if number in kept}

    def _next_settings(self, change: Change, before: GenerationSettings) -> GenerationSettings:
        if change.config is not None:
            self._check(change.config)
        config = change.config or self.wanted
        inherited = before.inherited if change.inherited is None else change.inherited
        try:
            return GenerationSettings.of(config, inherited)
        except FastlbError as error:
            raise StartFailed(f"nothing was changed: {error.message}", exit_code=error.exit_code) from error

    def _check(self, config: AppConfig) -> None:
        check_can_reload(self.config, config)
        check_config(config, self._traits)
