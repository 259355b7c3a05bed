"""What has been processed, at which version: many subjects in one question.

seen = analytics.coverage(queue, commits, cards)         cards is marked @handler(subject="commit")
seen.summary                                             5 new, 2 already processed, 1 needs re-run
seen.enqueue()                                           a job for each of the 6
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jobqueue.analytics.frames import attempts, items
from jobqueue.errors import InvalidJob
from jobqueue.inert import inert
from jobqueue.model.limit import fields_of_key
from jobqueue.queue.batch import Batch
from jobqueue.queue.choosing import values_of
from jobqueue.queue.handler import Handler, handler_of
from jobqueue.queue.queue import Queue
from jobqueue.queue.showing import mimebundle

NEW, PROCESSED, NEEDS_RERUN = "new", "processed", "needs_rerun"
STATUSES = (NEW, PROCESSED, NEEDS_RERUN)
BADGES = {NEW: "🆕 New", PROCESSED: "✅ Processed", NEEDS_RERUN: "🔄 Needs Re-run"}
WENT_WELL, WENT_BADLY = ("done",), ("failed", "crashed")
"""The outcomes that say something of a subject; a cancelled, snoozed or released attempt says nothing."""
SHOWN = 20
RUN = {
    "version": "version",
    "job": "job",
    "at": "finished_at",
    "attempt": "attempt",
    "worker": "worker",
    "run": "run",
    "code": "code",
}
"""What is told of a run, and the column of `attempts` that has it."""


class Coverage:
    """The subjects, each once and in the order given: `frame` has subject and status of each one, and of its last run that
    went well version, job, at (when it ended), attempt (its number), worker, run (how long it took) and code (the hash of its
    handler). `asked` is the version that the question was about.
    """

    def __init__(
        self,
        queue: Queue,
        what: Any,
        subjects: list[Any],
        frame: pd.DataFrame,
        asked: str | None,
        given: bool,
        track: str | None = None,
    ) -> None:
        self.queue = queue
        self.what = what
        self.subjects = subjects
        self.frame = frame
        self.asked = asked
        self.given = given
        self.track = track

    @property
    def counts(self) -> dict[str, int]:
        found = self.frame["status"].value_counts()
        return {status: int(found.get(status, 0)) for status in STATUSES}

    @property
    def summary(self) -> str:
        counts = self.counts
        return f"{counts[NEW]} new, {counts[PROCESSED]} already processed, {counts[NEEDS_RERUN]} needs re-run"

    @property
    def todo(self) -> list[Any]:
        """What is new or needs a re-run, in the order given."""
        return self.of(NEW, NEEDS_RERUN)

    def of(self, *statuses: str) -> list[Any]:
        """The subjects with these statuses, in the order given."""
        meant = self.frame["status"].isin(statuses).to_numpy()
        return [self.subjects[place] for place in np.flatnonzero(meant)]

    def again(self, subjects: Iterable[Any] | None = None) -> Coverage:
        """The same question at this moment, of these subjects or of all of them."""
        version = self.asked if self.given else None
        asked = self.subjects if subjects is None else subjects
        return coverage(self.queue, asked, self.what, version=version, track=self.track)

    def enqueue(
        self, payload: Callable[[Any], Mapping[str, Any]] | None = None, *, force: bool = False, **options: Any
    ) -> Batch[Any]:
        """A job for each subject of `todo`; with `force` for all of them, as new jobs.

        `payload` makes the payload of a subject; where the handler's subject is one of its arguments, it may be left out.
        A job that waits or runs already does not count as processed: `idempotency_key=True` keeps it from being made twice.
        That key is free once its job has finished (`key_scope="active"`), for what failed or is old is asked for again.
        """
        make = payload or self.plain_payload()
        chosen = self.subjects if force else self.todo
        if force:
            options = {"force": True, **options}
        if options.get("idempotency_key") is True:
            options = {"key_scope": "active", **options}
        if self.given and self.asked is not None:
            options = {"pipeline_version": self.asked, **options}
        return self.queue.enqueue_many(self.what, [make(subject) for subject in chosen], **options)

    def plain_payload(self) -> Callable[[Any], Mapping[str, Any]]:
        name = argument_of(self.what)
        if name is None:
            raise InvalidJob(
                "payload: the subject is no argument of the handler, so say what its payload is: "
                "coverage.enqueue(lambda subject: {'commit': subject}), or panels.selector(coverage, lambda subject: ...)"
            )
        return lambda subject: {name: subject}

    def __len__(self) -> int:
        return len(self.subjects)

    def __repr__(self) -> str:
        return inert(f"<Coverage of {type_of(self.what)} at {self.asked or 'any version'}: {self.summary}>")

    _repr_mimebundle_ = mimebundle

    def _repr_html_(self) -> str:
        head = self.frame.head(SHOWN)
        lines = [
            f"<tr><td>{shown(subject)}</td><td>{BADGES[status]}</td><td>{shown(version)}</td></tr>"
            for subject, status, version in zip(head["subject"], head["status"], head["version"], strict=True)
        ]
        left = len(self) - len(lines)
        more = f"<p>and {left:,} more</p>" if left > 0 else ""
        heads = "<tr><th>subject</th><th>status</th><th>version</th></tr>"
        table = f"<table><thead>{heads}</thead><tbody>{''.join(lines)}</tbody></table>" if lines else ""
        return f"<p>{escape(self.summary)}</p>{table}{more}"


def coverage(
    queue: Queue,
    subjects: Iterable[Any],
    type: str | Callable[..., Any],
    *,
    version: str | None = None,
    track: str | None = None,
) -> Coverage:
    """Which of many subjects are `new` (none of their runs, or not the last, went well), `processed` (done at this version)
    or `needs_rerun` (done at another).

    A subject is what `@handler(subject="commit")` names; with `track` it is the key of an item of that `ctx.track`, as it is
    for handlers that name no subject. Of a DataFrame it is the column that is named like the handler's subject. The version
    is the one given, else that of the handler, of a live worker, or the one seen last; where a handler has none, its source
    code is its version.
    """
    wanted = distinct(column_of(subjects, type) if isinstance(subjects, pd.DataFrame) else subjects)
    name = type_of(type)
    runs = runs_of(attempts(queue), name) if track is None else runs_of_items(items(queue), name, track)
    if track is None and runs.empty:
        runs = runs_of_items(items(queue), name, None)
    asked = version or version_of(queue, type, runs)
    return Coverage(queue, type, wanted, judge(wanted, runs, asked), asked, version is not None, track)


def distinct(subjects: Iterable[Any]) -> list[Any]:
    if isinstance(subjects, str):
        raise InvalidJob(f"subjects: {subjects!r:.80} is one text; give a list of subjects")
    found: dict[str, Any] = {}
    for subject in values_of(subjects):
        if subject is None or subject is pd.NA or subject is pd.NaT or subject != subject:
            raise InvalidJob("subjects: one is missing (None or NaN); leave it out, as df['commit'].dropna() does")
        found.setdefault(str(subject), subject)
    return list(found.values())


def argument_of(what: str | Callable[..., Any]) -> str | None:
    """The argument of the handler that is its subject; None where the subject is made of several, or nobody has said it."""
    template = None if isinstance(what, str) else handler_of(what).subject
    names = [] if template is None else sorted(fields_of_key(template))
    return names[0] if len(names) == 1 and template in (names[0], f"{{{names[0]}}}") else None


def column_of(frame: pd.DataFrame, what: str | Callable[..., Any]) -> pd.Series[Any]:
    name = argument_of(what)
    if name is None or name not in frame.columns:
        known = ", ".join(map(repr, frame.columns[:20]))
        meant = (
            "no handler says which column" if name is None else f"the subject of the handler is {name!r}, which is no column"
        )
        raise InvalidJob(f"subjects: {meant}; give one, as in df['commit'] (there are: {known or 'none'})")
    return frame[name]


def type_of(what: str | Callable[..., Any]) -> str:
    return what if isinstance(what, str) else handler_of(what).type


# -- which runs count


def runs_of(frame: pd.DataFrame, type: str) -> pd.DataFrame:
    """What the attempts of a type say of subjects, oldest first."""
    chosen = is_one_of(frame["type"], (type,)) & is_one_of(frame["outcome"], WENT_WELL + WENT_BADLY)
    chosen &= frame["subject"].notna().to_numpy()
    some = frame if chosen.all() else frame.loc[chosen, ["subject", "outcome", *RUN.values()]]
    good = is_one_of(some["outcome"], WENT_WELL)
    return pd.DataFrame({"subject": some["subject"], "good": good, **{name: some[column] for name, column in RUN.items()}})


def runs_of_items(frame: pd.DataFrame, type: str, track: str | None) -> pd.DataFrame:
    """An item is recorded when an attempt was through with it."""
    chosen = is_one_of(frame["type"], (type,))
    if track is not None:
        chosen &= is_one_of(frame["track"], (track,))
    some = frame[chosen]
    told = {name: some.get(column) for name, column in (RUN | {"at": "at"}).items()}  # nobody noted the worker of an item
    return pd.DataFrame({"subject": some["key"], "good": True, **told})


def is_one_of(column: pd.Series[Any], words: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """By the codes of a category: its values are compared once."""
    known = column.cat.categories.isin(words)
    return np.append(known, False)[column.cat.codes.to_numpy()]


def version_of(queue: Queue, what: str | Callable[..., Any], runs: pd.DataFrame) -> str | None:
    """The version that a run would have now."""
    if not isinstance(what, str):
        handler: Handler = handler_of(what)
        return handler.version
    live = sorted(queue.store.workers(), key=lambda info: info.started_at, reverse=True)
    if served := [info.versions[what] for info in live if what in info.versions]:
        return served[0]
    seen = runs["version"].dropna()
    return None if seen.empty else str(seen.iloc[-1])


# -- the judgement


def judge(subjects: list[Any], runs: pd.DataFrame, asked: str | None) -> pd.DataFrame:
    """The status of each subject by its runs, which are sorted by time; a subject is compared as a text."""
    count = len(subjects)
    asked_for = pa.array(list(map(str, subjects)), pa.string())
    places = places_in(runs["subject"], asked_for)
    mine = np.flatnonzero(places >= 0)
    places = places[mine]
    good = runs["good"].to_numpy()[mine]
    last, last_good = np.full(count, -1), np.full(count, -1)
    last[places] = mine  # where a place comes several times, the last assignment stays
    last_good[places[good]] = mine[good]
    at_version = np.zeros(count, dtype=bool)
    at_version[places[good & is_one_of(runs["version"].astype("category"), (asked or "",))[mine]]] = True
    ended_well = (last >= 0) & (last == last_good)
    codes = np.where(~ended_well, 0, np.where(at_version | (asked is None), 1, 2)).astype("int8")
    status: pd.Categorical[Any] = pd.Categorical.from_codes(codes, categories=list(STATUSES))  # type: ignore[call-overload]
    best = np.where(last_good < 0, len(runs), last_good)
    return pd.DataFrame(
        {
            "subject": pd.Series(subjects),
            "status": status,
            **{name: runs[name].reset_index(drop=True).reindex(best).reset_index(drop=True) for name in RUN},
        }
    ).astype({"attempt": "Int32"})


def places_in(values: pd.Series[Any], wanted: pa.StringArray) -> np.ndarray[Any, Any]:
    """Where each value stands among the wanted ones, -1 where it does not."""
    found = pc.index_in(pa.array(values, pa.string()), value_set=wanted)
    return np.asarray(found.fill_null(-1), dtype=np.int64)


def shown(value: Any) -> str:
    return "" if value is None or value != value else escape(inert(str(value)))
