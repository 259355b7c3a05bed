"""From what a caller says to the record of a new job."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from jobqueue.errors import InvalidJob
from jobqueue.model.clock import Clock
from jobqueue.model.job import DEFAULT_PRIORITY, Job
from jobqueue.model.limit import fill_key
from jobqueue.model.names import make_id, request_key
from jobqueue.model.request import name_in, parse_payload, parse_text, parse_type, read_options
from jobqueue.queue.handler import handler_of, mark_of, require_importable
from jobqueue.queue.signature import check_call

CLOCK_WENT_BACK = timedelta(seconds=1)


class Making:
    """`check_parent` raises `JobNotFound` for an id in `after` that no job has."""

    def __init__(self, clock: Clock, check_parent: Callable[[str], object]) -> None:
        self.clock = clock
        self.check_parent = check_parent
        self.last_time = clock.now()

    def job(self, type: str, payload: Any, options: Mapping[str, Any]) -> Job:
        now = self.next_time()
        type = parse_type(type)
        payload = parse_payload({} if payload is None else payload)
        fields = read_options(options, now) if options else {}
        if options.get("idempotency_key") is True:
            fields["idempotency_key"] = request_key(type, payload, fields.get("pipeline_version"))
        if "name" not in fields and "name" in payload:
            fields["name"] = name_in(payload)
        if fields.get("on_conflict", "wait") != "wait" and "concurrency_key" not in fields:
            raise InvalidJob("on_conflict: given without concurrency_key")
        for parent in fields.get("after", ()):
            self.check_parent(parent)
        given = options.get("id")
        id = self.new_id(fields, now) if given is None else parse_text(given, "id")
        return Job(id=id, type=type, payload=payload, created_at=now, **fields)

    def rows(
        self, type: str, payloads: Sequence[dict[str, Any]], options: Sequence[Mapping[str, Any]], rows: Sequence[Any]
    ) -> list[Job]:
        """A job for each payload, which is known to be JSON; `options` are those of all, or of each."""
        made: list[Job] = []
        for number, (payload, row) in enumerate(zip(payloads, rows, strict=True)):
            if number < len(options):
                own = options[number]
                refuse_single(own)
                keyed = own.get("idempotency_key") is True
                first = self.job(type, {}, own)
                fields = {"priority": first.priority, "run_after": first.run_after}
            now = self.next_time()
            name = own.get("name") or name_in(payload)
            key = request_key(type, payload, first.pipeline_version) if keyed else None
            id = self.new_id(fields, now)
            job = replace(first, id=id, payload=payload, created_at=now, row=row, name=name, idempotency_key=key)
            made.append(job)
        return made

    def new_id(self, fields: Mapping[str, Any], now: datetime) -> str:
        due = fields.get("run_after")
        delayed = due is not None and due > now
        priority = fields.get("priority", DEFAULT_PRIORITY)
        return make_id(priority, due if due is not None and delayed else now, delayed, os.urandom(4).hex())

    def next_time(self) -> datetime:
        """Now, but never the same twice: the jobs of one process keep their order."""
        now = self.clock.now()
        if now <= self.last_time and self.last_time - now < CLOCK_WENT_BACK:
            now = self.last_time + timedelta(microseconds=1)
        self.last_time = now
        return now


def refuse_single(options: Mapping[str, Any]) -> None:
    """What names one job cannot be given to many."""
    if options.get("id") is not None:
        raise InvalidJob("id: one id cannot be given to many jobs; leave it out")
    if options.get("idempotency_key") not in (None, True):
        raise InvalidJob("idempotency_key: one key cannot be given to many jobs; give True: each has that of its own request")


def call_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, importable: bool
) -> tuple[str, dict[str, Any]]:
    """The type and the payload of a call, checked against the function's signature."""
    handler = handler_of(function)
    if importable:
        require_importable(function)
    return handler.type, check_call(function, args, kwargs)


def options_of(function: Callable[..., Any], options: dict[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the handler's mark says of retries and of conflicts goes into the job, so that whoever takes it knows too."""
    mark = mark_of(function)
    if mark is None or (mark.retry is None and mark.concurrency_key is None):
        return options
    own: dict[str, Any] = {}
    if mark.retry is not None:
        own["backoff"] = mark.retry.backoff
        if "max_retries" not in options:
            own["max_attempts"] = mark.retry.attempts
    if mark.concurrency_key is not None and "concurrency_key" not in options:
        key = fill_key(mark.concurrency_key, {**defaults_of(function), **payload})
        if key:
            own |= {"concurrency_key": key, "on_conflict": mark.on_conflict}
    return own | options


@lru_cache(maxsize=1024)
def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}
