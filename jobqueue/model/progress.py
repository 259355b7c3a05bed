"""How far a running job has come."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from jobqueue.model.times import short


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`percent` is from 0 to 100; `done` of `total` where the handler counts; `seconds_left` is an estimate.

    `attempt` is the try that said it, `at` when (aware UTC), `metrics` what it has counted so far.
    """

    percent: Annotated[float, Meta(ge=0, le=100)]
    message: str = ""
    done: float | None = None
    total: float | None = None
    seconds_left: float | None = None
    attempt: int = 1
    at: Annotated[datetime, Meta(tz=True)] | None = None
    metrics: dict[str, float] = {}


def in_words(progress: Progress) -> str:
    """`40 % (12 of 30), loading, 3 min left`."""
    if progress.total is not None and progress.done is not None:
        words = [f"{progress.percent:.0f} % ({progress.done:g} of {progress.total:g})"]
    elif progress.done is not None:
        words = [f"{progress.done:g} done"]
    else:
        words = [f"{progress.percent:.0f} %"]
    if progress.message:
        words.append(progress.message)
    if progress.seconds_left is not None:
        words.append(f"{short(progress.seconds_left)} left")
    return ", ".join(words)
