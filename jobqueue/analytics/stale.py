"""Done work whose code has changed since: what to run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.frames import attempts
from jobqueue.errors import InvalidJob
from jobqueue.inert import inert
from jobqueue.model.status import Status
from jobqueue.queue.handler import handler_of
from jobqueue.queue.queue import Queue

CODE = "code:"
COLUMNS = ["id", "type", "subject", "project", "batch", "version", "code", "current", "finished_at"]


def stale(queue: Queue, type: str | Callable[..., Any], handler: Callable[..., Any] | None = None) -> pd.DataFrame:
    """The done jobs of a type that last ran at another version than the one that runs now: `queue.retry(frame["id"])`.

    What runs now is what the live workers say, or a handler that is given: `stale(queue, cards)` or `stale(queue, "cards",
    cards)`. A handler without a pipeline version is told by the hash of its source. Where live workers differ, the work of
    each of them is current. A job of which no version is known is not stale. Raises `InvalidJob` where nothing says what
    runs now.
    """
    if callable(type):
        handler, type = type, handler_of(type).type
    current = [handler_of(handler).version] if handler is not None else versions_of(queue, type)
    frame = attempts(queue)
    last = frame[(frame["type"] == type) & (frame["outcome"] == "done")].drop_duplicates("job", keep="last")
    found = last[~is_current(last, current) & is_known(last)]
    found = found[np.array([queue.store.where(id) is Status.DONE for id in found["job"]], dtype=bool)]
    found = found.rename(columns={"job": "id"}).assign(current=", ".join(current))
    return found[COLUMNS].reset_index(drop=True)


def versions_of(queue: Queue, type: str) -> list[str]:
    """What the live workers that serve a type run now."""
    found = sorted({worker.info.versions[type] for worker in queue.workers() if type in worker.info.versions})
    if not found:
        raise InvalidJob(
            f"stale: no live worker serves the type {inert(type)!r}, so nothing says which version runs now; start a worker, "
            "or give the handler: analytics.stale(queue, handler)"
        )
    return found


def is_current(rows: pd.DataFrame, current: Iterable[str]) -> pd.Series:
    """A version that stands for its source is compared by the source: the job may have had a version of its own."""
    versions = list(current)
    codes = [version.removeprefix(CODE) for version in versions if version.startswith(CODE)]
    return rows["version"].isin(versions) | rows["code"].isin(codes)


def is_known(rows: pd.DataFrame) -> pd.Series:
    return rows["version"].notna() | rows["code"].notna()
