"""Limits: how often jobs may start, and how many of them may run at a time. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from jobqueue.errors import InvalidJob
from jobqueue.model.job import Job
from jobqueue.model.times import parse_duration

MOST_STARTS = 100
"""So many start times are remembered for a rate, and no more."""
MOST_AT_A_TIME = 100_000
RATE = re.compile(r"(\d{1,9})\s*(?:/|per)\s*(.+)")
WORDS = {"sec": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
FIELD = re.compile(r"\{(\w+)\}")
LETTERS = {1: "s", 60: "m", 3600: "h", 86400: "d", 604800: "w"}

QUEUE = "queue"
KEY = "key:"
TYPE = "type:"


class Rate(msgspec.Struct, frozen=True):
    """At most `count` starts in any window of so many seconds; as a text, `"30/m"`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count}/{LETTERS.get(int(self.seconds)) if self.seconds in LETTERS else f'{self.seconds:g}s'}"

    @property
    def per_minute(self) -> float:
        return self.count * 60 / self.seconds

    @property
    def kept(self) -> Rate:
        """The same or a little stricter, with few enough starts to remember: 6000/m is kept as 100 in any second.

        Count and seconds are divided by one whole number, since only so many short windows make up the long one.
        """
        parts = math.ceil(self.count / MOST_STARTS)
        return Rate(self.count // parts, self.seconds / parts)

    def opens_at(self, starts: Sequence[float], now: float) -> float | None:
        """When the next start is allowed, in the seconds of `now`; None where it is already.

        A start that seems to lie ahead (the clock was put back) counts as one of this moment, so that no jump of the
        clock can block anything for longer than one window.
        """
        rate = self.kept
        recent = sorted(min(start, now) for start in starts if start > now - rate.seconds)
        return None if len(recent) < rate.count else recent[-rate.count] + rate.seconds


class Limit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for all workers of a queue together; None where nothing was said."""

    rate: Rate | None = None
    concurrency: int | None = None

    def over(self, other: Limit) -> Limit:
        """What is said here goes before what is said there."""
        concurrency = other.concurrency if self.concurrency is None else self.concurrency
        return Limit(rate=self.rate or other.rate, concurrency=concurrency)

    def __str__(self) -> str:
        parts = [str(self.rate)] if self.rate is not None else []
        parts += [f"{self.concurrency} at a time"] if self.concurrency is not None else []
        return ", ".join(parts) or "no limit"


class Budget(msgspec.Struct, frozen=True):
    """So much of a metric in each period: hour, day, week, month (in UTC), or a duration such as `12h`."""

    metric: str
    amount: float
    per: str


ONE = Limit(concurrency=1)
NO_LIMIT = Limit()
Rules = Mapping[str, Limit]
"""Limits by their names: `queue` for the whole queue, `type:<type>`; a concurrency key needs no rule."""


def parse_rate(value: Any, field: str = "rate") -> Rate:
    """A rate from itself or from a text: `"30/m"`, `"5 per second"`, `"100/10m"`."""
    if isinstance(value, Rate):
        return value
    match = RATE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        raise InvalidJob(f'{field}: {value!r:.80} is not a rate; write "30/m", "5 per second" or "100/10m"')
    count, seconds = int(match[1]), seconds_of(match[2], field)
    if count < 1 or seconds <= 0:
        raise InvalidJob(f"{field}: {value!r:.80} lets nothing start; to stop a type, pause it")
    return Rate(count, seconds)


def seconds_of(text: str, field: str) -> float:
    """The window of a rate: a unit such as `m` or `minute`, or a duration such as `10m`."""
    word = text.strip()
    if word.removesuffix("s") in WORDS:
        return float(WORDS[word.removesuffix("s")])
    return parse_duration(word if word[:1].isdigit() else f"1{word}", field).total_seconds()


def parse_concurrency(value: Any, field: str = "concurrency") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_AT_A_TIME:
        raise InvalidJob(f"{field}: {value!r:.80} is not a number of jobs at a time; give 1 to {MOST_AT_A_TIME:,}")
    return value


def parse_limit(value: Any, field: str = "limit") -> Limit:
    """A limit from `{"rate": "30/m", "concurrency": 2}`, or from a rate alone."""
    if isinstance(value, Limit):
        return value
    if isinstance(value, str):
        return Limit(rate=parse_rate(value, field))
    if not isinstance(value, Mapping) or not value or not set(value) <= {"rate", "concurrency"}:
        raise InvalidJob(f'{field}: {value!r:.80} is not a limit; write {{rate: "30/m", concurrency: 2}}, or one of the two')
    rate, concurrency = value.get("rate"), value.get("concurrency")
    return Limit(
        rate=None if rate is None else parse_rate(rate, f"{field}.rate"),
        concurrency=None if concurrency is None else parse_concurrency(concurrency, f"{field}.concurrency"),
    )


def read_limits(value: Any, field: str = "limits") -> dict[str, Limit]:
    """Limits by name from `{"fetch": {"rate": "30/m"}, "*": {"concurrency": 8}}`: by type, `*` is the whole queue."""
    if not isinstance(value, Mapping) or not all(isinstance(type, str) and type for type in value):
        raise InvalidJob(f'{field}: {value!r:.80} are no limits; write a line for each type, like fetch: {{rate: "30/m"}}')
    return {limit_name(None if type == "*" else type): parse_limit(said, f"{field}.{type}") for type, said in value.items()}


def limit_name(type: str | None) -> str:
    """Under which name a type, or (None) the whole queue, is limited."""
    return QUEUE if type is None else TYPE + type


def limited_type(name: str) -> str | None:
    """The type that a rule is about; None for the whole queue."""
    return name.removeprefix(TYPE) if name.startswith(TYPE) else None


def merge(first: Rules, then: Rules) -> dict[str, Limit]:
    """Both, the first going before the second."""
    return {name: first.get(name, NO_LIMIT).over(then.get(name, NO_LIMIT)) for name in {*first, *then}}


def limits_on(job: Job, rules: Rules) -> dict[str, Limit]:
    """Every limit that a job is subject to, by name; empty for most."""
    found = {name: rules[name] for name in (QUEUE, TYPE + job.type) if name in rules} if rules else {}
    if job.concurrency_key is not None:
        found[KEY + job.concurrency_key] = ONE
    return found


def fields_of_key(template: str) -> set[str]:
    """The fields of a payload that a key is made from."""
    return set(FIELD.findall(template)) or {template}


def fill_key(template: str, payload: Mapping[str, Any], field: str = "concurrency_key") -> str | None:
    """The key of one job: `"repo"` names a field of the payload, `"{owner}/{repo}"` puts several together.

    None where the payload lacks one of them: then nothing is known that could be in conflict.
    """
    if not FIELD.search(template):
        value = payload.get(template)
        return None if value is None else str(value)
    try:
        return FIELD.sub(lambda match: str(payload[match[1]]), template)
    except KeyError:
        return None
