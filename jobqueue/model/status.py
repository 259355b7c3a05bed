"""The four statuses. The folder a job lies in is its status; no file says it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from jobqueue.errors import InvalidJob


class Status(str, Enum):
    """Where a job is: waiting, being worked on, finished well, or finished badly."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


FINISHED = (Status.DONE, Status.FAILED)

# What other systems call these four, read on input everywhere.
ALIASES = {
    "queued": Status.PENDING,
    "waiting": Status.PENDING,
    "running": Status.CLAIMED,
    "processing": Status.CLAIMED,
    "active": Status.CLAIMED,
    "completed": Status.DONE,
    **{status.value: status for status in Status},
}


def parse_status(word: str | Status) -> Status:
    """The status that a word means: our own four, or an alias such as `queued` or `active`."""
    try:
        return ALIASES[word.lower()]
    except (KeyError, AttributeError):
        known = ", ".join(sorted(ALIASES))
        raise InvalidJob(f"status: {word!r:.80} is not a status; use one of {known}") from None


def parse_statuses(words: str | Status | Iterable[str | Status] | None) -> tuple[Status, ...]:
    """One status, several, or (for None) all four."""
    if words is None:
        return tuple(Status)
    if isinstance(words, str):
        words = words.split(",")
    return tuple(dict.fromkeys(parse_status(word.strip() if isinstance(word, str) else word) for word in words))
