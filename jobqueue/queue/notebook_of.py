"""A notebook about one job: its payload, its error, and a cell that runs it again. Written as JSON; nothing is imported."""

from __future__ import annotations

import json
import os
import pprint
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobqueue.model.job import Failure
from jobqueue.queue.doctor import versions
from jobqueue.queue.private import open_private
from jobqueue.queue.registry import Registry

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle

WIDTH = 100
FENCE = re.compile("`{3,}")


def to_notebook(job: JobHandle[Any], path: str | os.PathLike[str]) -> Path:
    """The body of `JobHandle.to_notebook`. Raises `FileExistsError` rather than write over somebody's work."""
    target = Path(path)
    document = {
        "cells": [dict(cell, id=f"cell-{number}") for number, cell in enumerate(cells(job), 1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    with open_private(target) as file:
        file.write((json.dumps(document, indent=1) + "\n").encode())
    return target


def cells(job: JobHandle[Any]) -> list[dict[str, Any]]:
    located = job.located
    record, error = located.job, located.job.last_error
    payload = pprint.pformat(record.payload, width=WIDTH, sort_dicts=False)
    return [
        text(f"# A job of type {quoted(record.type)}\n\n{fenced(summary(located.status.value, record, error))}"),
        code(f"from jobqueue import Queue\n\nqueue = Queue({job.queue.store.url!r})\njob = queue.get({job.id!r})\njob"),
        text("## Payload"),
        code(f"payload = {payload}\npayload == job.payload"),
        text(f"## What happened\n\n{fenced(story(error))}"),
        text("## Again, in this process\n\nWhen it raises, `%debug` goes to the line. The job itself is not changed."),
        code(f"job.run_here({source_of(job)})"),
        text(f"## Environment\n\nWhen this notebook was written: {versions()}."),
        code("from jobqueue.queue.doctor import versions\n\nversions()"),
    ]


def summary(status: str, record: Any, error: Failure | None) -> str:
    lines = [f"id:       {record.id}", f"name:     {record.title}", f"status:   {status}", f"attempts: {record.attempts}"]
    if record.finished_at is not None:
        lines.append(f"finished: {record.finished_at:%Y-%m-%d %H:%M:%S} UTC")
    if error is not None:
        lines.append(f"error:    {error.reason}: {error.message}")
    return "\n".join(lines)


def story(error: Failure | None) -> str:
    return "It has not failed." if error is None else error.traceback or f"{error.reason}: {error.message}"


def source_of(job: JobHandle[Any]) -> str:
    """The argument that makes `run_here` find the handler from any folder; nothing where we do not know it either."""
    for name in job.queue.config.handlers:
        if Registry.load(name).get(job.type) is not None:
            return repr(os.path.abspath(name) if name.endswith(".py") else name)
    return ""


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": source}


def fenced(block: str) -> str:
    """As it is, whatever it says: a fence longer than any in it."""
    longest = max((len(run) for run in FENCE.findall(block)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{block.rstrip()}\n{fence}"


def quoted(word: str) -> str:
    """A strangers' word inside a line of Markdown."""
    plain = re.sub(r"[^\w .:/-]", "?", word)
    return f"`{plain[:200]}`"
