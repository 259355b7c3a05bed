"""The jobs that are there now, as a frame: a million finished ones without opening a million files.

Where a job is, its folder says: that is its status, and nothing else is asked. What is known of a finished job, its last
attempt in the journal says, where it fits the status. The file is opened of all other jobs: those that wait or run, those
that ended without an attempt (cancelled, expired, rejected) or were put there by hand, and those of which more was asked than
the journal has. What somebody wrote into a finished job's file by hand is seen in that case only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from jobqueue.analytics.frames import is_one_of
from jobqueue.analytics.history import History, history_of
from jobqueue.analytics.opening import opened
from jobqueue.analytics.schema import JOBS
from jobqueue.model.filter import Filter, when
from jobqueue.model.names import ID, stamp
from jobqueue.model.status import FINISHED, Status, parse_statuses
from jobqueue.queue.choosing import read_filter
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located

OUR_ID = r"^\d\d-\d{8}T\d{12}d?-[0-9a-f]{8}(~\d+)?$"
ENDED = ("cancel", "end", "reject")
"""What ends a job without an attempt."""
MORE = ("payload", "result")
LAST_ATTEMPT = "select place, max(row) as row from asked join journal on asked.id = journal.job group by place"
NEVER_FAILED = ("done", "snoozed", "released")
Known = tuple[pd.DataFrame, list[str]]


def jobs(
    queue: Queue,
    status: Any = None,
    *,
    subject: str | Iterable[str] | None = None,
    payload: bool = False,
    result: bool = False,
    progress: bool | None = None,
    **filters: Any,
) -> pd.DataFrame:
    """One row for each job that is there (`schema.JOBS`), in the order of the queue; the filters are those of `queue.jobs`,
    and `subject`.

    `tags`, and the priority of a file that somebody dropped, are missing where a file was not opened. `payload` and `result`
    add these columns, `tag`, `key` and `text` look for what only files have: they open the file of every job that the
    other filters let through, with a bar (`progress`: always or never) where that takes longer than a second.
    """
    where = read_filter(filters, queue.clock.now())
    statuses = parse_statuses(status)
    known, unknown = told_and_untold(queue, statuses)
    known = known[matching(known, where, subject)]
    if payload or result or where.tag is not None or where.key is not None or where.text is not None:
        unknown += list(known["id"])
        known = known.iloc[:0]
    found = [located for located in opened(queue.store, unknown, progress) if fits(located, where, statuses, subject)]
    more = [name for name, wanted in zip(MORE, (payload, result), strict=True) if wanted]
    rows = [row(located, more) for located in found]
    files = typed(pd.DataFrame(rows, columns=[*JOBS, *more, "order"]), more)
    return in_order(known, files, more)


# From the journal


def told_and_untold(queue: Queue, statuses: Sequence[Status]) -> Known:
    """The jobs of which the journal tells all that a row of a frame says, and the ids of those whose files are to be opened."""
    places = {id: status for status in statuses for id in queue.store.ids(status)}
    finished = [id for id, status in places.items() if status in FINISHED]
    known, unknown = told_by_journal(queue, history_of(queue.store), finished, places)
    return known, unknown + [id for id, status in places.items() if status not in FINISHED]


def told_by_journal(queue: Queue, history: History, ids: Sequence[str], places: Mapping[str, Status]) -> Known:
    """The finished jobs whose last attempt tells how they ended, and the ids of the others."""
    attempts = history.frame(queue.store, "attempts")
    events = history.frame(queue.store, "events")
    asked = pa.table({"id": pa.array(ids, pa.large_string()), "place": np.arange(len(ids))}) if ids else None
    if asked is None or len(attempts) == 0:
        return typed(pd.DataFrame(columns=[*JOBS, "order"]), []), list(ids)
    journal = pa.table({"job": pa.chunked_array(pa.array(attempts["job"].array)), "row": np.arange(len(attempts))})
    last = history.engine.query(
        "select place, max(row) as row from asked join journal on asked.id = journal.job group by place",
        asked=asked,
        journal=journal,
    )
    where, rows = last["place"].to_numpy(), last["row"].to_numpy()
    chosen = attempts.iloc[rows].reset_index(drop=True)
    status = np.array([places[id].value for id in ids], "object")[where]
    outcome = chosen["outcome"].astype("object").to_numpy()
    fits = np.where(status == "done", outcome == "done", ~np.isin(outcome.astype(str), NEVER_FAILED))
    fits &= ~((status == "failed") & ended_since(chosen, events))
    known = from_attempts(chosen[fits], status[fits])
    told = set(where[fits].tolist())
    return known, [id for place, id in enumerate(ids) if place not in told]


def ended_since(chosen: pd.DataFrame, events: pd.DataFrame) -> Any:
    """Whether a job may have been ended in another way after its last attempt. An event tells a hundred ids; one that was
    about more jobs may have been about any."""
    doubtful = np.zeros(len(chosen), np.bool_)
    ended = events[events["what"].isin(ENDED)]
    if len(ended) == 0:
        return doubtful
    named = ended["jobs"].map(len)
    since: dict[str, pd.Timestamp] = {}
    for at, ids in zip(ended["at"], ended["jobs"], strict=True):
        since.update(dict.fromkeys(ids, at))
    last = pd.to_datetime(chosen["job"].map(since), utc=True)
    doubtful |= (last >= chosen["finished_at"]).to_numpy() | (last.notna() & chosen["finished_at"].isna()).to_numpy()
    whole = ended[named < ended["count"].fillna(0)]
    if len(whole):
        doubtful |= ~(chosen["finished_at"] > whole["at"].max()).to_numpy()
    return doubtful


def from_attempts(chosen: pd.DataFrame, status: Any) -> pd.DataFrame:
    count = len(chosen)
    ids = chosen["job"].reset_index(drop=True)
    ours = ids.str.match(OUR_ID).to_numpy(bool)
    priority = pd.array(np.zeros(count, np.int16), dtype="Int16")
    priority[:] = pd.to_numeric(ids.str.slice(0, 2).where(ours), errors="coerce").astype("Int16").array
    same = ("type", "name", "project", "batch", "version", "subject", "created_at", "claimed_at", "finished_at", "wait", "run")
    made: dict[str, Any] = {name: chosen[name].array for name in (*same, "reason", "error_type", "error")}
    made |= {"id": ids.array, "status": pd.Categorical(status), "priority": priority}
    made |= {"attempts": chosen["attempt"].array.astype("Int32"), "tags": np.full(count, None, "object")}
    made["run_after"] = pd.array(np.full(count, "NaT", "M8[us]")).view(JOBS["run_after"])
    frame = pd.DataFrame({name: made[name] for name in JOBS})
    order = ids.copy()
    if not ours.all():
        stamps = chosen["created_at"].reset_index(drop=True)[~ours].dt.strftime("%Y%m%dT%H%M%S%f").fillna("").astype("str")
        order[~ours] = "10-" + stamps + "-" + ids[~ours]
    return frame.assign(order=order)


def matching(known: pd.DataFrame, where: Filter, subject: Any) -> Any:
    """Which rows pass what the journal can answer; tag, key and text are asked of the files."""
    mask = np.ones(len(known), np.bool_)
    if where.types:
        mask &= is_one_of(known["type"], where.types)
    for name in ("project", "batch", "reason"):
        if getattr(where, name) is not None:
            mask &= is_one_of(known[name], getattr(where, name))
    if subject is not None:
        mask &= is_one_of(known["subject"], subject)
    changed = known["finished_at"]
    if where.since is not None:
        mask &= (changed >= where.since).to_numpy()
    if where.until is not None:
        mask &= (changed < where.until).to_numpy()
    return mask


# From files


def fits(located: Located, where: Filter, statuses: Sequence[Status], subject: Any) -> bool:
    job = located.job
    wanted = None if subject is None else {subject} if isinstance(subject, str) else {*subject}
    about = None if job.ran is None else job.ran.subject
    return located.status in statuses and where.matches(job) and (wanted is None or about in wanted)


def row(located: Located, more: Sequence[str]) -> dict[str, Any]:
    job, ran = located.job, located.job.ran
    error = job.error
    seconds = None if ran is None else ran.seconds
    due_at = None if ran is None else ran.due_at
    ended = job.finished_at if job.finished else None
    if seconds is None and ended is not None and job.claimed_at is not None:
        seconds = (ended - job.claimed_at).total_seconds()
    wait = None if due_at is None or job.claimed_at is None else job.claimed_at - due_at
    made = {name: getattr(job, name, None) for name in JOBS}
    made |= {"status": located.status.value, "tags": job.tags, "wait": wait, "error": None, "error_type": None}
    made |= {"run": None if seconds is None else pd.Timedelta(round(seconds * 1_000_000), "us")}
    made |= {"version": job.pipeline_version if ran is None or ran.version is None else ran.version}
    made |= {"subject": None if ran is None else ran.subject, "reason": "rejected" if located.reason is not None else None}
    if located.reason is not None:
        made |= {"error": located.reason}
    if error is not None:
        made |= {"reason": error.reason, "error_type": error.type, "error": error.message}
    made |= {name: getattr(job, name) for name in more}
    return made | {"order": order_of(job)}


def order_of(job: Any) -> str:
    return job.id if ID.fullmatch(job.id) else f"{job.priority:02}-{stamp(when(job))}-{job.id}"


# Together


def typed(frame: pd.DataFrame, more: Sequence[str]) -> pd.DataFrame:
    return frame.astype({**JOBS, **dict.fromkeys(more, "object"), "order": "str"})


def in_order(known: pd.DataFrame, files: pd.DataFrame, more: Sequence[str]) -> pd.DataFrame:
    parts = [part for part in (known, files) if len(part)]
    if not parts:
        return files.drop(columns="order")
    if len(parts) == 2:
        for name, dtype in JOBS.items():
            if dtype == "category":
                values = dict.fromkeys(value for part in parts for value in part[name].cat.categories)
                both = pd.CategoricalDtype(pd.Index(list(values), dtype="str"))
                parts = [part.assign(**{name: part[name].astype("object").astype(both)}) for part in parts]
    whole = pd.concat(parts, ignore_index=True) if len(parts) == 2 else parts[0]
    whole = whole.sort_values("order", kind="stable", ignore_index=True).drop(columns="order")
    return whole[[*JOBS, *more]]
