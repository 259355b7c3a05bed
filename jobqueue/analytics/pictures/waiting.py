"""Who waited when: each attempt from when it was due to its claim, and the jobs that wait now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.jobs import jobs
from jobqueue.analytics.pictures.asked import Floats, Source, instants, jumped
from jobqueue.model.status import Status

Times = tuple[Floats, Floats, int]


def waiting_times(source: Source, frame: pd.DataFrame, filters: Mapping[str, Any]) -> Times:
    """From when to when (infinite: still), and how many attempts say nothing, since a clock was set meanwhile."""
    due, claimed = due_times(frame, "due_at"), instants(frame["claimed_at"], "claimed_at")
    odd = jumped(frame) | (claimed < due)
    known = np.isfinite(due) & np.isfinite(claimed) & ~odd
    starts, ends = due[known], claimed[known]
    if not isinstance(source, pd.DataFrame):
        now = jobs(source, [Status.PENDING, Status.CLAIMED])
        for name, value in filters.items():
            if name in now.columns:
                now = now[now[name].isin(list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value])]
        more_starts, more_ends = still_waiting(now, frame)
        starts, ends = np.concatenate([starts, more_starts]), np.concatenate([ends, more_ends])
    return starts, ends, int(odd.sum())


def still_waiting(now: pd.DataFrame, frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """A job that was tried before waits since its last try ended, or since it was due again."""
    due = due_times(now, "run_after")
    tried = frame[frame["job"].isin(now["id"])]
    last = pd.Series(instants(tried["finished_at"], "finished_at")).groupby(tried["job"].to_numpy()).max()
    before = now["id"].map(last).astype("float64").to_numpy() if len(last) else np.full(len(now), np.nan)
    ends = instants(now["claimed_at"], "claimed_at")
    ends[(now["status"] == Status.PENDING.value).to_numpy()] = np.inf
    ends[np.isnan(ends)] = np.inf
    return np.fmax(due, before), ends


def due_times(frame: pd.DataFrame, column: str) -> Floats:
    due, made = instants(frame[column], column), instants(frame["created_at"], "created_at")
    return np.fmax(due, made) if len(frame) else due
