"""The log and the notes of a job, read by whoever looks: during the run and after it, from any process."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jobqueue.model.progress import Progress, in_words
from jobqueue.queue.waiting import Pace, has_ended

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle

MORE = 10.0
"""Per cent: how far the progress must move to be worth a line."""


def read_log(job: JobHandle[Any], tail: int | None) -> str:
    """The last `tail` lines of the log, or all of it."""
    text = job.queue.store.notes.read_log(job.id)[0].decode("utf-8", "replace")
    return text if tail is None else last_lines(text, tail)


def last_lines(text: str, count: int) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[max(0, len(lines) - count) :])


def follow(job: JobHandle[Any], tail: int | None = None) -> Iterator[str]:
    """The log as it grows, with a line now and then for the progress, until the job has ended."""
    notes = job.queue.store.notes
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    data, position = notes.read_log(job.id)
    text = decoder.decode(data)
    text = text if tail is None else last_lines(text, tail)
    heard = Heard()
    pace = Pace()
    while True:
        if text:
            yield text
            heard.at_line_start = text.endswith("\n")
        started = time.monotonic()
        ended = has_ended(job)  # before the last look at the log: nothing is written behind the end
        data, position = notes.read_log(job.id, start=position)
        text = decoder.decode(data, final=ended)
        if ended:
            break
        line = heard.news(notes.progress(job.id)) if not text else ""
        if line:
            yield line
        time.sleep(pace.after(time.monotonic() - started, bool(text or line)))
    if text:
        yield text


class Heard:
    """What was last said of the progress, so that only what is new is said."""

    def __init__(self) -> None:
        self.percent = -MORE
        self.message = ""
        self.at_line_start = True

    def news(self, progress: Progress | None) -> str:
        if progress is None or not self.at_line_start:
            return ""
        if progress.message == self.message and 0 <= progress.percent - self.percent < MORE:
            return ""
        self.percent, self.message = progress.percent, progress.message
        return f"[{in_words(progress)}]\n"


def items(job: JobHandle[Any]) -> list[dict[str, Any]]:
    """What `ctx.track` has recorded since the job was last started anew, oldest first."""
    rows = job.queue.store.notes.items(job.id)
    rounds = [row["round"] for row in rows if isinstance(row.get("round"), int)]
    return [row for row in rows if row.get("round") == max(rounds)] if rounds else []


def artifacts(job: JobHandle[Any]) -> dict[str, dict[str, Any]]:
    """`{name: {"size": bytes, "path": where the copy lies}}`."""
    path = job.queue.store.notes.artifact_path
    kept = job.record.artifacts.items()
    return {name: {**entry, "path": path(job.id, name)} for name, entry in kept if isinstance(entry, dict)}
