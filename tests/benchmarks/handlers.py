"""Handlers with nothing to do, so that what is measured is the queue."""

from __future__ import annotations

import time

from jobqueue import handler


@handler
def noop(repo: str, n: int, text: str) -> None:
    """Does nothing, and returns nothing."""


@handler
def stamp(n: int) -> int:
    """When its first line ran: CLOCK_MONOTONIC in ns, which all processes of a machine share."""
    return time.monotonic_ns()


def answer(payload: dict[str, object]) -> None:
    """What a bare pool is asked to run."""
