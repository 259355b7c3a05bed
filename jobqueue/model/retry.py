"""When a failed attempt is tried again: exponential waits with jitter, unless a handler or a job says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from jobqueue.errors import InvalidJob
from jobqueue.model.times import LONGEST, Duration, parse_duration

DEFAULT_ATTEMPTS = 3
DEFAULT_CRASHES = 2
MOST_ATTEMPTS = 1000
Seconds = Annotated[float, Meta(ge=0, le=LONGEST.total_seconds())]
"""Bounded, so that no file can carry a wait that no timedelta holds."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The wait after attempt n: `base * factor ** (n - 1)` seconds, at most `cap`, or the n-th of `steps`.

    `jitter` is the share of the wait that is random: 0.5 gives between 50 % and 100 % of it, so that jobs which
    failed together do not come back together.
    """

    base: Seconds = 2.0
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    cap: Seconds = 600.0
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.5
    steps: tuple[Seconds, ...] = ()

    def wait(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the given attempt (1 is the first); `chance` is a random number from 0 to 1."""
        if self.steps:
            longest = self.steps[min(attempt, len(self.steps)) - 1]
        else:
            longest = min(self.cap, self.base * self.factor ** min(attempt - 1, 64))
        return longest * (1 - self.jitter * chance)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts there are in all, how many of them may kill their process, and the wait between them."""

    attempts: int = DEFAULT_ATTEMPTS
    crashes: int = DEFAULT_CRASHES
    backoff: Backoff = Backoff()


def exponential(
    base: Duration = 2,
    cap: Duration = 600,
    attempts: int = DEFAULT_ATTEMPTS,
    factor: float = 2.0,
    jitter: float = 0.5,
    crashes: int = DEFAULT_CRASHES,
) -> RetryPolicy:
    """Waits that grow: base, base * factor, ... up to cap. `attempts` counts all of them, the first included.

    A job whose process has died in `crashes` of its attempts is not tried again.
    """
    return policy(attempts, crashes, {"base": base, "cap": cap, "factor": factor, "jitter": jitter})


def constant(wait: Duration, attempts: int = DEFAULT_ATTEMPTS, crashes: int = DEFAULT_CRASHES) -> RetryPolicy:
    """The same wait after each failed attempt."""
    return policy(attempts, crashes, wait)


def policy(attempts: int, crashes: int, wait: Any) -> RetryPolicy:
    return RetryPolicy(attempts=parse_attempts(attempts), crashes=parse_crashes(crashes), backoff=parse_backoff(wait))


def parse_crashes(value: Any, field: str = "max_crashes") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJob(f"{field}: {value!r:.80} is not a whole number; 2 means that a second crash is the last")
    if not 1 <= value <= MOST_ATTEMPTS:
        raise InvalidJob(f"{field}: {value} is out of range; give 1 (no attempt after a crash) to {MOST_ATTEMPTS}")
    return value


def parse_attempts(value: Any, field: str = "max_attempts") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJob(f"{field}: {value!r:.80} is not a whole number; 3 means two retries")
    if not 1 <= value <= MOST_ATTEMPTS:
        raise InvalidJob(f"{field}: {value} is out of range; give 1 (never retried) to {MOST_ATTEMPTS}")
    return value


def parse_backoff(value: Any, field: str = "backoff") -> Backoff:
    """A wait (`"5s"`), a list of waits (`["1s", "10s"]`), or base, factor, cap and jitter by name."""
    if isinstance(value, Backoff):
        return value
    if isinstance(value, Mapping):
        return backoff_by_name(value, field)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise InvalidJob(f'{field}: an empty list of waits; give at least one, like ["5s"]')
        return Backoff(steps=tuple(seconds(wait, f"{field}[{n}]") for n, wait in enumerate(value)), jitter=0.0)
    return Backoff(steps=(seconds(value, field),), jitter=0.0)


def backoff_by_name(value: Mapping[str, Any], field: str) -> Backoff:
    unknown = set(value) - set(Backoff.__struct_fields__)
    if unknown:
        raise InvalidJob(f"{field}: unknown key {sorted(unknown)[0]!r}; the keys are base, factor, cap, jitter, steps")
    given: dict[str, Any] = {}
    for key in ("base", "cap"):
        if key in value:
            given[key] = seconds(value[key], f"{field}.{key}")
    for key, low, high in (("factor", 1, 100), ("jitter", 0, 1)):
        if key in value:
            number = value[key]
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number <= high:
                raise InvalidJob(f"{field}.{key}: {number!r:.80} is out of range; give {low} to {high}")
            given[key] = float(number)
    if value.get("steps"):
        given["steps"] = parse_backoff(value["steps"], f"{field}.steps").steps
    return Backoff(**given)


def seconds(value: Any, field: str) -> float:
    return parse_duration(value, field).total_seconds()
