"""What the journal costs: the same work with it and with all of it switched off, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from limits import Cost, timed
from report import Row, Target
from steps import drain_inline, drain_two_processes, open_queue, payload

from jobqueue.store.recording import Recording

Measure = Callable[[Path, int], Cost]


@contextmanager
def switched_off() -> Iterator[None]:
    """No entry is made, encoded or written for an attempt or an enqueue."""
    attempts, enqueued = Recording.attempts, Recording.enqueued
    Recording.attempts = Recording.enqueued = lambda *_: None  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Recording.attempts, Recording.enqueued = attempts, enqueued  # type: ignore[method-assign]


def one_by_one(path: Path, size: int) -> Cost:
    queue = open_queue(path, "relaxed")
    payloads = [payload(number) for number in range(size)]
    cost = timed(size, lambda: [queue.enqueue("noop", one) for one in payloads])
    queue.close()
    return cost


def many(path: Path, size: int) -> Cost:
    queue = open_queue(path, "relaxed")
    payloads = [payload(number) for number in range(size)]
    cost = timed(size, lambda: queue.enqueue_many("noop", payloads))
    queue.close()
    return cost


FIVE = Target("1.05 x without", ratio=1.05)
STEPS: dict[str, tuple[Measure, Target | None]] = {
    "journal, drain inline": (lambda path, size: drain_inline(path, size, "relaxed"), FIVE),
    "journal, drain 2 processes": (lambda path, size: drain_two_processes(path, size, "relaxed"), FIVE),
    "journal, enqueue": (one_by_one, None),
    "journal, enqueue_many": (many, None),
}


def rows_of_journal(fresh: Callable[[], Path], plan: tuple[int, int]) -> list[Row]:
    """By CPU time, which others on the machine change less; of each pair the order changes from one to the next."""
    size, repeats = plan
    return [row(step, measure, target, fresh, size, repeats) for step, (measure, target) in STEPS.items()]


def row(step: str, measure: Measure, target: Target | None, fresh: Callable[[], Path], size: int, repeats: int) -> Row:
    ratios, without = [], []
    for number in range(2 * repeats):
        pair: dict[bool, float] = {}
        for journal in (True, False) if number % 2 else (False, True):
            if journal:
                pair[True] = measure(fresh(), size).cpu
            else:
                with switched_off():
                    pair[False] = measure(fresh(), size).cpu
        ratios.append(pair[True] / pair[False])
        without.append(pair[False])
    limit = median(without)
    cost = limit * median(ratios)
    return Row(step, size, "relaxed", cost, limit, cost, target, f"CPU; {cost - limit:+.1f} us, of {2 * repeats} pairs")
