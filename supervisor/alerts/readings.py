"""Owns what samples say of each alert: whether it is bad, good or neither, and in which words. Pure; the supervisor.

Between a limit and nine tenths of it nothing is said anew and nothing ends: what is on stays on, what is not does not
begin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..latency.percentiles import percentile_ms
from ..settings.alerting import ALERT_NAMES, AlertName, AlertRules
from ..settings.quantities import format_duration
from .sample import Sample, Share, growth, histogram_growth, is_whole, window_of

Level = Literal["good", "between", "bad", "unknown"]
HYSTERESIS = 0.9
# Of fewer requests in a window no percentage is made.
FEWEST_REQUESTS = 10
PERCENTILE = 99
LONGEST_TEXT = 300


@dataclass(frozen=True)
class Reading:
    """What is known of one alert now. `text`: for people, what is bad, with the figures; empty: nothing is."""

    level: Level
    text: str = ""


UNKNOWN, GOOD = Reading("unknown"), Reading("good")
Reader = Callable[[Sequence[Sample], AlertRules], Reading]


def readings(samples: Sequence[Sample], rules: AlertRules) -> dict[AlertName, Reading]:
    """Return what is known of every alert; `samples`: the latest last, one at least."""
    return {name: GOOD if name in rules.ignored else READERS[name](samples, rules) for name in ALERT_NAMES}


def _against(value: float, limit: float, text: str) -> Reading:
    if value > limit:
        return Reading("bad", text[:LONGEST_TEXT])
    return Reading("good" if value <= HYSTERESIS * limit else "between", text[:LONGEST_TEXT])


def _share(found: Share | None, limit: int, words: str) -> Reading:
    if not limit:
        return GOOD
    if found is None:
        return UNKNOWN
    return _against(found.percent, limit, f"{found.whose} {words.format(f'{found.percent:.0f} %')} (limit {limit} %)")


def _cpu(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    return _share(samples[-1].cpu, rules.cpu, "uses {} of a core")


def _memory(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    return _share(samples[-1].memory, rules.memory, "uses {} of its memory")


def _disk(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    return _share(samples[-1].disk, rules.disk, "is {} full")


def _restarts(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    if not rules.restarts:
        return GOOD
    count = growth(window_of(samples, rules.restarts_window), lambda sample: sample.restarts)
    within = format_duration(rules.restarts_window)
    return _against(count, rules.restarts, f"{count} restarts within {within} (limit {rules.restarts})")


def _response_time(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    window = window_of(samples, rules.lasting)
    if not rules.response_time or not samples[-1].latency_us:
        return GOOD
    if not is_whole(window, rules.lasting):
        return UNKNOWN
    came = histogram_growth(window)
    took_ms = percentile_ms(came, PERCENTILE)
    if took_ms is None:
        return GOOD
    if sum(came) < FEWEST_REQUESTS:
        return Reading("between")
    limit_ms = rules.response_time * 1000
    text = f"{100 - PERCENTILE} % of {sum(came)} requests took longer than {took_ms:.0f} ms (limit {limit_ms:.0f} ms)"
    return _against(took_ms, limit_ms, text)


def _errors(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    window = window_of(samples, rules.lasting)
    if not rules.errors or samples[-1].requests is None:
        return GOOD
    if not is_whole(window, rules.lasting):
        return UNKNOWN
    requests = growth(window, lambda sample: sample.requests or 0)
    if not requests:
        return GOOD
    if requests < FEWEST_REQUESTS:
        return Reading("between")
    failed = growth(window, lambda sample: sample.errors)
    percent = 100 * min(failed / requests, 1.0)
    text = f"{failed} of {requests} requests failed within {format_duration(rules.lasting)} (limit {rules.errors} %)"
    return _against(percent, rules.errors, text)


def _unhealthy(samples: Sequence[Sample], _: AlertRules) -> Reading:
    return _any(samples[-1].unhealthy, "{}")


def _errored(samples: Sequence[Sample], _: AlertRules) -> Reading:
    numbers = [str(number) for number in samples[-1].errored]
    return _any(numbers, "given up, as they have crashed too often: workers {}")


def _reload_failed(samples: Sequence[Sample], _: AlertRules) -> Reading:
    return _any([samples[-1].reload_failure] if samples[-1].reload_failure else [], "{}")


def _listen_overflow(samples: Sequence[Sample], rules: AlertRules) -> Reading:
    count = growth(window_of(samples, rules.lasting), lambda sample: sample.overflows)
    within = format_duration(rules.lasting)
    return _any([str(count)] if count else [], f"{{}} times within {within} a connection found no room (backlog)")


def _channel(samples: Sequence[Sample], _: AlertRules) -> Reading:
    return _any(samples[-1].dead_channels, "{}")


def _any(found: Sequence[str], words: str) -> Reading:
    text = " ".join(words.format(", ".join(found)).split())
    return Reading("bad", text[:LONGEST_TEXT]) if found else GOOD


READERS: dict[AlertName, Reader] = {
    "cpu": _cpu,
    "memory": _memory,
    "restarts": _restarts,
    "response_time": _response_time,
    "errors": _errors,
    "unhealthy": _unhealthy,
    "errored": _errored,
    "reload_failed": _reload_failed,
    "disk": _disk,
    "listen_overflow": _listen_overflow,
    "channel": _channel,
}
