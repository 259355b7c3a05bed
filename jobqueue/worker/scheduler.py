"""Adds the jobs of schedules whose time has come. Every worker does it, one at a time; twice makes no second job."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from jobqueue.errors import JobQueueError
from jobqueue.inert import inert_logger
from jobqueue.model.schedule import ScheduleRecord, Turn, decide, next_run
from jobqueue.model.times import short
from jobqueue.queue.queue import Queue
from jobqueue.queue.scheduling import add_run, follow_settings, unfinished

log = inert_logger("jobqueue.worker")

LOOK_EVERY = 1.0
"""Seconds between two looks at the schedules; a due time that comes sooner is waited for exactly."""


class Scheduler:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.schedules = queue.store.schedules
        self.records: tuple[ScheduleRecord, ...] = ()
        self.due: dict[str, datetime] = {}
        self.said: dict[str, str] = {}
        self.followed = False

    def turn(self) -> float:
        """Adds what is due; the seconds until the next look."""
        try:
            if not self.followed:
                self.follow_settings()
            return self.look()
        except (JobQueueError, OSError) as error:  # a full disk, say: the next look tries again
            self.say("", f"schedules cannot be looked after: {error}")
            return LOOK_EVERY

    def follow_settings(self) -> None:
        self.followed = True
        for name in follow_settings(self.queue):
            log.warning("the schedule %s was not made by jobqueue.yaml and is left as it is; rename one of the two", name)

    def look(self) -> float:
        now = self.queue.clock.now()
        self.read(now)
        if any(due <= now for due in self.due.values()):
            self.add_due(now)
            self.read(now)
        ahead = [(due - now).total_seconds() for due in self.due.values() if due > now]
        return min([LOOK_EVERY, *ahead])

    def read(self, now: datetime) -> None:
        records = self.schedules.all()
        if records is not self.records:
            self.records = records
            self.due = {record.name: due for record in records if (due := next_run(record, now)) is not None}

    def add_due(self, now: datetime) -> None:
        control = self.queue.store.control()
        if control.paused is not None and control.paused.holds(now):
            return
        with self.schedules.held(wait=False) as ours:
            for name in [name for name, due in self.due.items() if due <= now] if ours else ():
                record = self.schedules.get(name)
                pause = control.paused_types.get(record.type) if record is not None else None
                if record is not None and not (pause is not None and pause.holds(now)):
                    self.take(record, now)

    def take(self, record: ScheduleRecord, now: datetime) -> None:
        turn = decide(record, now, lambda: unfinished(self.queue, record))
        try:
            self.carry_out(record, turn)
        except (JobQueueError, OSError) as error:
            self.say(record.name, f"the schedule {record.name} cannot add its job: {error}")

    def carry_out(self, record: ScheduleRecord, turn: Turn) -> None:
        if turn.due is None:
            return
        if turn.action == "run":
            put = add_run(self.queue, record, turn.due, late=turn.late is not None)
            late = f", {short(turn.late)} late" if turn.late is not None else ""
            log.info("the schedule %s added %s (%s)%s", record.name, put.located.job.id, record.type, late)
        elif turn.action == "skip":
            self.schedules.put(replace(record, handled=turn.due, note=turn.why))
            log.warning("the schedule %s: %s", record.name, turn.why)
        elif record.note != turn.why:
            self.schedules.put(replace(record, note=turn.why))
            log.info("the schedule %s: %s", record.name, turn.why)

    def say(self, name: str, what: str) -> None:
        """Once, and not at every look."""
        if self.said.get(name) != what:
            self.said[name] = what
            log.error("%s", what)
