"""Which finished jobs go."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from jobqueue.model.retention import Resting, Retention, Rule, Sieve

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)


def jobs(*ages_and_sizes: tuple[float, int]) -> list[Resting]:
    """Jobs that finished so many days ago."""
    return [Resting(NOW - timedelta(days=days), f"job-{n}", size) for n, (days, size) in enumerate(ages_and_sizes)]


def gone(rule: Rule, found: list[Resting]) -> set[str]:
    sieve = Sieve(rule, NOW)
    return {old.id for job in found for old in sieve.add(job)}


def by_the_book(rule: Rule, found: list[Resting]) -> set[str]:
    """What the rule says, on a sorted list: from the newest on, until a limit is passed."""
    out, total, kept = set[str](), 0, 0
    for job in sorted(found, reverse=True):
        total, kept = total + job.size, kept + 1
        too_old = rule.age is not None and job.since < NOW - timedelta(seconds=rule.age)
        if too_old or (rule.count is not None and kept > rule.count) or (rule.size is not None and total > rule.size):
            out.add(job.id)
    return out


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(), set()),
        (Rule(age=5 * 86400), {"job-0", "job-3"}),
        (Rule(count=2), {"job-0", "job-3"}),
        (Rule(count=0), {"job-0", "job-1", "job-2", "job-3"}),
        (Rule(size=30), {"job-0", "job-3"}),
        (Rule(size=29), {"job-0", "job-3", "job-2"}),
        (Rule(age=1.5 * 86400, count=3), {"job-0", "job-3", "job-2"}),
    ],
)
def test_the_oldest_go(rule: Rule, expected: set[str]) -> None:
    assert gone(rule, jobs((9, 10), (1, 10), (2, 20), (6, 30))) == expected


def test_whatever_the_order_the_newest_part_is_kept() -> None:
    dice = random.Random(7)
    for _ in range(300):
        found = jobs(*((dice.randint(0, 20), dice.randint(0, 50)) for _ in range(dice.randint(0, 25))))
        dice.shuffle(found)
        pick = lambda low, high: dice.choice([None, dice.randint(low, high)])  # noqa: E731
        days = pick(0, 20)
        rule = Rule(age=None if days is None else days * 86400.0, count=pick(0, 25), size=pick(0, 500))
        assert gone(rule, found) == by_the_book(rule, found), (rule, found)


def test_words_for_people() -> None:
    assert str(Retention()) == "finished jobs are kept for ever"
    assert str(Retention(done=Rule(age=604800), failed=Rule(count=10000, size=5))) == (
        "done jobs are kept for 7 d; failed jobs are kept the newest 10,000 and the newest 5 bytes"
    )
