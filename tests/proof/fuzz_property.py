"""What must hold for any bytes whatever that somebody may drop: the property of all fuzzers here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec.structs import replace

from jobqueue.errors import UnreadableJob
from jobqueue.inert import inert
from jobqueue.model.control import Control
from jobqueue.model.gate import judge
from jobqueue.model.job import Failure, Job
from jobqueue.model.request import describe, read_record
from jobqueue.model.transition import Run, Transition, cancel, complete, fail, lost, release, reopened, retry
from jobqueue.store.base import Located, digest
from jobqueue.store.codec import decode, encode
from jobqueue.store.layout import order_key
from jobqueue.store.strangers import stamp_of

from . import hostile_oracle

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
RUN = Run("worker-1", NOW - timedelta(seconds=1), NOW)
LONGEST_REASON = 600


def holds(data: bytes, id: str = "x") -> bool:
    """Whether these bytes are a job; fails where they are neither that nor refused as they should be."""
    expected, document = answer(hostile_oracle.read, data), answer(decode, data)
    assert is_refusal(expected) == is_refusal(document), f"{expected!r:.200} and {document!r:.200}"
    if isinstance(document, UnreadableJob):
        assert_short(document)
        return False
    assert document == expected, "read otherwise than written"
    job = answer(lambda document: read_record(id, document), document)
    if isinstance(job, UnreadableJob):
        assert_short(job)
        return False
    assert job.id == id
    lives(job)
    return True


def answer(read: Callable[[Any], Any], given: Any) -> Any:
    """What a reader says: what it has read, or that it refuses."""
    try:
        return read(given)
    except (UnreadableJob, hostile_oracle.Refused) as refusal:
        return refusal


def is_refusal(answer: Any) -> bool:
    return isinstance(answer, Exception)


def assert_short(error: UnreadableJob) -> None:
    text = str(error)
    assert text, "refused without a reason"
    assert len(text) <= LONGEST_REASON, f"a reason of {len(text)} characters: {text[:200]}"
    assert text.isprintable(), f"a reason that is not one printable line: {text!r}"


def lives(job: Job) -> None:
    """A whole life: placed, shown, judged, run to each of its ends, and at each step written and read again."""
    comes_back(job)
    order_key(job.priority, stamp_of(job.created_at or NOW), job.id)
    job.title, describe(job.last_error), inert(job.type), digest(Located(job, status="pending"))  # type: ignore[arg-type]
    if job.finished:
        job = reopened(job, NOW)
        comes_back(job)
    verdict = judge(job, NOW, control=Control(), types=None, parent_state=lambda id: "done")
    if verdict.until is not None:
        stamp_of(verdict.until)
    for transition in ends(job):
        written = replace(transition.job, written_by="worker-1")
        comes_back(written)
        comes_back(retry(written, NOW).job)


def ends(job: Job) -> list[Transition]:
    error = Failure(message="it broke")
    return [
        complete(job, {"n": [1, 2.5, None]}, RUN),
        fail(job, error, RUN, chance=0.5),
        fail(job, error, RUN, final=True),
        lost(job, RUN),
        release(job, RUN),
        cancel(job, NOW),
    ]


def comes_back(job: Job) -> None:
    again = read_record(job.id, decode(encode(job)))
    assert again == job, "a job was read otherwise than it was written"
