"""What a worker and its child processes say to one another: frames of JSON over a socket pair.

A child is sent one `Start`, then one `Order` for each job; it answers with a `Result` for each: `ready` or `broken`
after the start, then what became of each job. A result is data: no answer of a child runs anything in the worker.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from jobqueue.model.job import Job

if TYPE_CHECKING:
    from jobqueue.queue.config import Config

HEAD = 8
"""A frame begins with its length, in so many bytes."""
LARGEST = 64 << 20
"""What a child may answer at most: the largest result, and all that an attempt may tell."""
READY = "ready"
BROKEN = "broken"
"""The kinds of a child's first answer: it has loaded the handlers, or could not."""


@dataclass(frozen=True)
class Start:
    """What a child needs to know once. `notes` is the address of the store's notes; empty where it has none to give."""

    names: tuple[str, ...]
    config: Config
    notes: str = ""
    worker: str = ""


class Order(msgspec.Struct, frozen=True):
    """One job to run. `cancel_mark` is a path that exists once somebody asked it to stop. `id` is that of a job whose
    file name is not UTF-8, which no JSON text can hold."""

    job: Job
    attempt: int
    cancel_mark: bytes
    id: bytes = b""


def order_of(job: Job, attempt: int, cancel_mark: str) -> bytes:
    mark = os.fsencode(cancel_mark)
    try:
        return msgspec.json.encode(Order(job, attempt, mark))
    except UnicodeEncodeError:
        return msgspec.json.encode(Order(replace(job, id="-"), attempt, mark, os.fsencode(job.id)))


def job_of(order: Order) -> Job:
    return replace(order.job, id=os.fsdecode(order.id)) if order.id else order.job


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(HEAD, "big") + body


def is_too_large(buffer: bytearray) -> bool:
    """Whether the next frame claims to be larger than any answer is: then what was received is no answer of ours."""
    return len(buffer) >= HEAD and int.from_bytes(buffer[:HEAD], "big") > LARGEST


def take_frame(buffer: bytearray) -> bytes | None:
    """Takes the first whole frame out of what has been received; None where there is none yet."""
    if len(buffer) < HEAD:
        return None
    end = HEAD + int.from_bytes(buffer[:HEAD], "big")
    if len(buffer) < end:
        return None
    body = bytes(buffer[HEAD:end])
    del buffer[:end]
    return body
