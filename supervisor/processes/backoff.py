"""Owns when a crashed worker is started again, and when it is given up. Pure: time and chance are passed in.

Runs in the supervisor process. It must never read a clock.
"""

from dataclasses import dataclass, replace

from ..settings.app_config import DEFAULT_FIRST_DELAY, AppConfig

# Small, so that workers which are killed from outside again and again leave no long gap in the service.
GROWTH = 1.5
LONGEST_DELAY = 15.0
# Jitter only lengthens a delay, by up to this part of it: workers that crashed together come back one by one.
JITTER = 0.25


@dataclass(frozen=True)
class RestartRules:
    """When to restart and when to give up; the fields are settings of the same names, times in seconds.

    Of the two delays one counts: `restart_delay`, always the same, or when that is 0 the growing one.
    """

    min_uptime: float
    max_restarts: int
    restart_window: float
    exp_backoff_restart_delay: float
    restart_delay: float = 0.0
    autorestart: bool = True
    stop_exit_codes: tuple[int, ...] = ()

    @classmethod
    def of(cls, config: AppConfig) -> "RestartRules":
        """Take them from the settings of an app; the growing delay wins where both were given, as in PM2."""
        is_growth_asked = config.exp_backoff_restart_delay != DEFAULT_FIRST_DELAY
        return cls(
            min_uptime=config.min_uptime,
            max_restarts=config.max_restarts,
            restart_window=config.restart_window,
            exp_backoff_restart_delay=config.exp_backoff_restart_delay,
            restart_delay=0.0 if is_growth_asked else config.restart_delay,
            autorestart=config.autorestart,
            stop_exit_codes=config.stop_exit_codes,
        )

    def is_end_of_work(self, exit_code: int | None) -> bool:
        """Whether a process that has ended so has done its work, and no other takes its place."""
        return exit_code in self.stop_exit_codes or (exit_code == 0 and not self.autorestart)


@dataclass(frozen=True)
class CrashHistory:
    """What is remembered of a worker's crashes; never longer than `max_restarts` entries.

    Attributes:
        unstable_exits: when, on a clock that stands still during restart delays. So growing delays cannot
            push old crashes out of the window: a crash loop always ends.
        delayed: seconds spent in restart delays; what that clock lags behind the monotonic one.
        streak: unstable exits since the last stable one; the delay grows with it.
    """

    unstable_exits: tuple[float, ...] = ()
    delayed: float = 0.0
    streak: int = 0


NO_CRASHES = CrashHistory()


@dataclass(frozen=True)
class Verdict:
    """What follows from a crash. `delay` (seconds) until the restart; None: the worker is given up."""

    history: CrashHistory
    delay: float | None


def after_exit(
    rules: RestartRules, history: CrashHistory, *, now: float, uptime: float | None, jitter: float
) -> Verdict:
    """Judge an exit that nobody asked for.

    Args:
        rules: the settings.
        history: of this worker, before this exit.
        now: monotonic seconds.
        uptime: seconds that it lived from ready on; None: it was never ready, which is unstable at any age.
        jitter: random number in 0..1.
    """
    if uptime is not None and uptime >= rules.min_uptime:
        return _delayed(rules, replace(history, streak=0), jitter)
    clock = now - history.delayed
    recent = tuple(moment for moment in history.unstable_exits if clock - moment < rules.restart_window)
    most = max(rules.max_restarts, 1)
    unstable = (*recent, clock)[-most:]
    history = replace(history, unstable_exits=unstable, streak=history.streak + 1)
    if len(unstable) >= most:
        return Verdict(history, None)
    return _delayed(rules, history, jitter)


def grown_delay(first_delay: float, streak: int) -> float:
    """The delay, in seconds and without jitter, after `streak` failures in a row (the first counts as 1)."""
    # The exponent is bounded because a float overflows.
    grown = min(first_delay * GROWTH ** min(max(streak - 1, 0), 64), LONGEST_DELAY)
    return max(grown, first_delay)


def _delayed(rules: RestartRules, history: CrashHistory, jitter: float) -> Verdict:
    delay = rules.restart_delay
    if not delay:
        delay = grown_delay(rules.exp_backoff_restart_delay, history.streak) * (1 + JITTER * jitter)
    return Verdict(replace(history, delayed=history.delayed + delay), delay)
