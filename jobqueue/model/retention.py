"""Retention: which finished jobs have lain long enough. Pure: no clock, no disk."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from jobqueue.errors import InvalidJob
from jobqueue.model.request import nearest
from jobqueue.model.times import parse_duration, short

STATUSES = ("done", "failed")
SHORTEST_JOURNAL = 31 * 86400.0
"""Seconds: what a budget has used in a month is counted from it."""


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of one status: jobs that finished within `age` seconds, the newest `count`, the newest `size` bytes.

    A job goes as soon as one of the limits that are given says so.
    """

    age: float | None = None
    count: int | None = None
    size: int | None = None

    def __str__(self) -> str:
        limits = [f"for {short(self.age)}"] if self.age is not None else []
        limits += [f"the newest {self.count:,}"] if self.count is not None else []
        limits += [f"the newest {self.size:,} bytes"] if self.size is not None else []
        return " and ".join(limits)


class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rule for done and for failed jobs, and for how many seconds the journal is kept; None is for ever."""

    done: Rule | None = None
    failed: Rule | None = None
    journal: float | None = None

    @property
    def rules(self) -> dict[str, Rule]:
        """By status, without those that there are not."""
        return {status: rule for status in STATUSES if (rule := getattr(self, status)) is not None}

    def __str__(self) -> str:
        kept = [f"{status} jobs are kept {rule}" for status, rule in self.rules.items()] or ["finished jobs are kept for ever"]
        return "; ".join(kept if self.journal is None else [*kept, f"the journal is kept for {short(self.journal)}"])


NO_RETENTION = Retention()


class Resting(NamedTuple):
    """A finished job: since when it lies there, its id, and its size in bytes. The oldest sorts first."""

    since: datetime
    id: str
    size: int


class Sieve:
    """Takes finished jobs in any order, one by one, and gives back those that have to go, as soon as that is certain.

    It remembers no more than what is kept by count or size, so that a million jobs need no memory to be judged by age.
    Whatever the order, the result is the same: what is kept is the newest part that each limit allows.
    """

    def __init__(self, rule: Rule, now: datetime) -> None:
        self.rule = rule
        self.oldest = None if rule.age is None else now - timedelta(seconds=rule.age)
        self.kept: list[Resting] = []
        self.total = 0
        self.gone: Resting | None = None
        """The newest that went because of count or size: everything older goes too."""

    def add(self, job: Resting) -> Iterator[Resting]:
        if (self.oldest is not None and job.since < self.oldest) or (self.gone is not None and job < self.gone):
            yield job
        elif self.rule.count is not None or self.rule.size is not None:
            heapq.heappush(self.kept, job)
            self.total += job.size
            while self.above():
                self.gone = heapq.heappop(self.kept)
                self.total -= self.gone.size
                yield self.gone

    def above(self) -> bool:
        count, size = self.rule.count, self.rule.size
        return bool(self.kept) and ((count is not None and len(self.kept) > count) or (size is not None and self.total > size))


# What people say


def read_retention(value: Any, name: str, parse_size: Callable[[Any, str], int]) -> Retention:
    """The `retention` of a jobqueue.yaml: `{done: 7d, failed: {age: 30d, count: 10000, size: 1GiB}}`."""
    if not isinstance(value, Mapping):
        raise InvalidJob(f"{name}: {value!r:.80} is no rule; write done: 7d and failed: 30d below it")
    fields = Retention.__struct_fields__
    for status in value:
        if status not in fields:
            raise InvalidJob(
                f"{name}.{status}: only done and failed jobs, and the journal, can go{nearest(str(status), set(fields))}"
            )
    given = {word: limit for word, limit in value.items() if limit is not None}
    rules = {word: read_rule(given[word], f"{name}.{word}", parse_size) for word in STATUSES if word in given}
    journal = read_journal(given["journal"], f"{name}.journal") if "journal" in given else None
    return Retention(rules.get("done"), rules.get("failed"), journal)


def read_journal(value: Any, name: str) -> float:
    seconds = parse_duration(value, name).total_seconds()
    if seconds < SHORTEST_JOURNAL:
        raise InvalidJob(f"{name}: {value!r:.80} is too short: budgets of a month are counted from it; give at least 31d")
    return seconds


def read_rule(value: Any, name: str, parse_size: Callable[[Any, str], int]) -> Rule:
    if not isinstance(value, Mapping):
        return Rule(age=parse_duration(value, name).total_seconds())
    for key in value:
        if key not in Rule.__struct_fields__:
            raise InvalidJob(
                f"{name}.{key}: not a limit{nearest(str(key), set(Rule.__struct_fields__))}; give age, count or size"
            )
    given = {key: limit for key, limit in value.items() if limit is not None}
    if not given:
        raise InvalidJob(f"{name}: no limit; give age, count or size")
    age, count, size = (given.get(key) for key in Rule.__struct_fields__)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise InvalidJob(f"{name}.count: {count!r:.80} is not a number of jobs")
    return Rule(
        age=None if age is None else parse_duration(age, f"{name}.age").total_seconds(),
        count=count,
        size=None if size is None else parse_size(size, f"{name}.size"),
    )
