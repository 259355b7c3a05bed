"""Schedules as a user meets them, and the job that a schedule adds when its time has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from msgspec.structs import replace

from jobqueue.errors import InvalidJob, JobNotFound, ScheduleNotFound
from jobqueue.inert import inert
from jobqueue.model.control import Pause
from jobqueue.model.job import Job
from jobqueue.model.request import nearest, parse_payload
from jobqueue.model.schedule import ScheduleRecord, describe, next_run, renewed
from jobqueue.model.schedule_request import read_schedule
from jobqueue.model.status import FINISHED
from jobqueue.model.times import iso, short
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.making import call_of, options_of
from jobqueue.queue.opening import MEMORY
from jobqueue.store.base import Put
from jobqueue.store.recording import me

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

KEY_SCOPE = "7d"
"""How long a due time is remembered by its job: far longer than a worker may be dead between adding it and noting it."""


class Schedule:
    """A schedule of a queue. What it says is looked up when it is asked; `outcome` is created, replaced or unchanged.

    `next_run` and `last_run` are aware due times, `last_job` the id of the job that was added last.
    """

    def __init__(self, queue: Queue, name: str, outcome: str = "") -> None:
        self.queue = queue
        self.name = name
        self.outcome = outcome

    @property
    def record(self) -> ScheduleRecord:
        """As it is now; `ScheduleNotFound` once it was removed."""
        record = self.queue.store.schedules.get(self.name)
        if record is None:
            raise missing(self.queue, self.name)
        return record

    @property
    def type(self) -> str:
        return self.record.type

    @property
    def payload(self) -> dict[str, Any]:
        return self.record.payload

    @property
    def cron(self) -> str | None:
        return self.record.cron

    @property
    def every(self) -> float | None:
        """Seconds, or None where there is a cron expression."""
        return self.record.every

    @property
    def timezone(self) -> str:
        return self.record.timezone

    @property
    def next_run(self) -> datetime | None:
        """In its own time zone; None while it is paused."""
        return next_run_of(self.record, self.queue.clock.now())

    @property
    def last_run(self) -> datetime | None:
        return in_zone(self.record, self.record.last_run)

    @property
    def last_job(self) -> str | None:
        return self.record.last_job

    @property
    def note(self) -> str:
        """Why the latest due time was not run at once; empty where it was."""
        return self.record.note

    @property
    def paused(self) -> bool:
        return self.record.paused is not None

    def pause(self, reason: str = "") -> None:
        """It adds nothing until `resume`."""
        pause = Pause(by=me(), at=self.queue.clock.now(), reason=reason)
        change(self.queue, self.name, lambda record: replace(record, paused=pause))

    def resume(self) -> None:
        """Ends the pause. What came due meanwhile counts as missed: made up once, or skipped, as `missed` says."""
        change(self.queue, self.name, lambda record: replace(record, paused=None))

    def run(self) -> JobHandle[Any]:
        """Adds a job now, whatever the time and whether it is paused or not; the due times stay as they are."""
        with self.queue.store.schedules.held():
            record = self.record
            put = self.queue.store.put([job_of(self.queue, record, self.queue.clock.now(), keyed=False)])[0]
            self.queue.store.schedules.put(replace(record, last_job=put.located.job.id))
        return JobHandle(self.queue, put.located, put.outcome)

    def remove(self) -> None:
        """The jobs that it has added stay."""
        unschedule(self.queue, self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and (self.queue.store, self.name) == (other.queue.store, other.name)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        try:
            record = self.record
        except ScheduleNotFound:
            return inert(f"<Schedule {self.name}: removed>")
        return inert(f"<Schedule {self.name}: {record.type} {describe(record)}, {outlook(record, self.queue.clock.now())}>")


class Schedules(list[Schedule]):
    """The schedules of a queue, by name: `queue.schedules()["nightly"].pause()`."""

    def __init__(self, queue: Queue, schedules: Iterable[Schedule]) -> None:
        super().__init__(schedules)
        self.queue = queue

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Schedule: ...
    @overload
    def __getitem__(self, key: slice) -> list[Schedule]: ...
    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for schedule in self:
            if schedule.name == key:
                return schedule
        raise missing(self.queue, key)


def outlook(record: ScheduleRecord, now: datetime) -> str:
    """When it comes to its turn: `next in 14 h`, `paused by ann`."""
    if record.paused is not None:
        return f"paused by {record.paused.by}"
    due = next_run(record, now)
    if due is None:
        return "never again"
    return f"next in {short(due - now)}" if due > now else f"overdue by {short(now - due)}"


def in_zone(record: ScheduleRecord, moment: datetime | None) -> datetime | None:
    from jobqueue.model.schedule import zone_of

    return None if moment is None else moment.astimezone(zone_of(record.timezone))


def next_run_of(record: ScheduleRecord, now: datetime) -> datetime | None:
    return in_zone(record, next_run(record, now))


def missing(queue: Queue, name: str) -> ScheduleNotFound:
    known = [record.name for record in queue.store.schedules.all()]
    hint = nearest(name, set(known)) or f"; there are {', '.join(known[:10]) or 'none'}"
    return ScheduleNotFound(name, hint)


# Making, changing, removing


def schedule(queue: Queue, what: Any, payload: Mapping[str, Any] | None, given: dict[str, Any]) -> Schedule:
    options = queue.options | given
    if isinstance(what, str):
        type, arguments = what, parse_payload({} if payload is None else payload)
    else:
        type, arguments = call_of(what, (), payload or {}, importable=queue.store.url != MEMORY)
        options = options_of(what, options, arguments)
    record = read_schedule(options | {"type": type, "payload": arguments}, queue.clock.now())
    return Schedule(queue, record.name, put_schedule(queue, record))


def put_schedule(queue: Queue, record: ScheduleRecord) -> str:
    """Adds it, or replaces the one of its name: created, replaced or unchanged."""
    schedules = queue.store.schedules
    with schedules.held():
        old = schedules.get(record.name)
        new = record if old is None else renewed(old, record)
        if new != old:
            schedules.put(new)
    return "created" if old is None else "unchanged" if new == old else "replaced"


def change(queue: Queue, name: str, decide: Callable[[ScheduleRecord], ScheduleRecord]) -> None:
    with queue.store.schedules.held():
        queue.store.schedules.put(decide(Schedule(queue, name).record))


def unschedule(queue: Queue, name: str) -> None:
    with queue.store.schedules.held():
        if not queue.store.schedules.remove(name):
            raise missing(queue, name)


def schedules(queue: Queue) -> Schedules:
    return Schedules(queue, (Schedule(queue, record.name) for record in queue.store.schedules.all()))


def follow_settings(queue: Queue) -> list[str]:
    """Makes the schedules of the jobqueue.yaml that this process was started with, and removes those that vanished from it.

    What was made by a call, or by another jobqueue.yaml, is left alone; the names of those in the way are returned.
    """
    if queue.config.file is None:
        return []
    source = str(queue.config.file)
    wanted = {given["name"]: read_schedule(given, queue.clock.now(), source) for given in queue.config.schedules}
    known = {record.name: record for record in queue.store.schedules.all()}
    for name in known.keys() - wanted.keys():
        if known[name].source == source:
            queue.store.schedules.remove(name)
    in_the_way = [name for name in wanted if name in known and known[name].source != source]
    for name in wanted.keys() - set(in_the_way):
        put_schedule(queue, wanted[name])
    return in_the_way


# The job of a due time


def job_of(queue: Queue, record: ScheduleRecord, due: datetime, *, late: bool = False, keyed: bool = True) -> Job:
    """`run_id` is the due time; with a key, so that whoever adds the job of this due time again finds it."""
    tags = [*record.options.get("tags", ()), f"schedule:{record.name}", *(["late"] if late else [])]
    options = record.options | {"run_id": iso(due), "tags": tags}
    if keyed:
        options |= {"idempotency_key": f"schedule:{record.name}:{iso(due)}", "key_scope": KEY_SCOPE}
    return queue.making.job(record.type, record.payload, options)


def add_run(queue: Queue, record: ScheduleRecord, due: datetime, *, late: bool = False) -> Put:
    """First the job, then the note that it was added: who dies in between is repeated, and the key finds the job."""
    put = queue.store.put([job_of(queue, record, due, late=late)])[0]
    queue.store.schedules.put(replace(record, handled=due, last_run=due, last_job=put.located.job.id, note=""))
    return put


def unfinished(queue: Queue, record: ScheduleRecord) -> bool:
    """Whether the job that it added last is still pending or claimed."""
    if record.last_job is None:
        return False
    try:
        return queue.store.get(record.last_job).status not in FINISHED
    except (JobNotFound, InvalidJob):
        return False
