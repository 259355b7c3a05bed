"""Schedules: when a job is to be added again, and what becomes of a run that was missed. Pure: no clock, no disk.

A due time is *handled* once its job was added or it was skipped; `handled` only moves forward, so that a clock that is
set back runs nothing twice. Of several due times that were missed, the latest alone is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from jobqueue.errors import InvalidJob
from jobqueue.model.control import Pause
from jobqueue.model.job import Aware
from jobqueue.model.request import nearest
from jobqueue.model.times import LONGEST, UTC, parse_duration, short

TOLERANCE = timedelta(seconds=60)
"""A run that starts later than this after its due time (or than one period, if that is shorter) is late."""
SHORTEST = timedelta(seconds=1)
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
WINDOWS = *(timedelta(minutes=minutes) for minutes in (1, 60, 1440, 46_080, 527_040, 5_270_400)), LONGEST
"""How far back the latest due time is looked for, step by step. The library can also walk backwards, but in the hour that
comes twice in autumn it then misses a run; walking forward gives the same due times from wherever it starts."""
FIVE = 'five fields (minute hour day-of-month month day-of-week), like "0 6 * * mon-fri", or a word like "@daily"'


class ScheduleRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule as its file holds it: either `cron` (read in `timezone`) or `every` (seconds, counted from `created_at`).

    `options` are those of `enqueue`; `source` is the jobqueue.yaml it came from, empty for one that was made by a call.
    `handled`: every due time up to here was run or skipped. `last_run` is the due time of the latest job, `last_job` its
    id, `note` why the latest due time was not run at once.
    """

    name: str
    type: str
    payload: dict[str, Any] = {}
    cron: str | None = None
    every: float | None = None
    timezone: str = "UTC"
    missed: Literal["once", "skip"] = "once"
    overlap: Literal["wait", "skip", "allow"] = "wait"
    options: dict[str, Any] = {}
    source: str = ""
    created_at: Aware | None = None
    handled: Aware | None = None
    last_run: Aware | None = None
    last_job: str | None = None
    note: str = ""
    paused: Pause | None = None

    @property
    def timing(self) -> tuple[str | None, float | None, str]:
        return self.cron, self.every, self.timezone


class Turn(msgspec.Struct, frozen=True):
    """What is to be done about a schedule now: nothing, wait (for its previous job), skip or run its `due` time."""

    action: Literal["nothing", "wait", "skip", "run"]
    due: datetime | None = None
    late: timedelta | None = None
    why: str = ""


NOTHING = Turn("nothing")


def decide(record: ScheduleRecord, now: datetime, unfinished: Callable[[], bool]) -> Turn:
    """`unfinished` answers whether the previous job is still pending or claimed; it is asked only where that matters."""
    due = None if record.paused is not None else latest_due(record, now)
    if due is None:
        return NOTHING
    late = now - due if now - due > tolerance(record, due) else None
    if late is not None and record.missed == "skip":
        return Turn("skip", due, late, f"the run of {clock_time(due)} was skipped: {short(late)} late")
    if record.overlap != "allow" and unfinished():
        if record.overlap == "skip":
            return Turn("skip", due, late, f"the run of {clock_time(due)} was skipped: {record.last_job} had not finished")
        return Turn("wait", due, late, f"the run of {clock_time(due)} waits until {record.last_job} has finished")
    return Turn("run", due, late)


def tolerance(record: ScheduleRecord, due: datetime) -> timedelta:
    following = next_due(record, due)
    return TOLERANCE if following is None else min(TOLERANCE, following - due)


def clock_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def next_due(record: ScheduleRecord, after: datetime) -> datetime | None:
    """The first due time behind a moment; None where there is none in the next 50 years."""
    return next(due_times(record, after), None)


def next_run(record: ScheduleRecord, now: datetime) -> datetime | None:
    """When it comes to the turn next; in the past for a run that is being made up, None for a paused one."""
    if record.paused is not None:
        return None
    return latest_due(record, now) or next_due(record, max(now, start(record)))


def latest_due(record: ScheduleRecord, now: datetime) -> datetime | None:
    """The latest due time that has come and is not handled yet."""
    after = start(record)
    for window in WINDOWS:
        begin = max(after, now - window)
        latest = None
        for due in due_times(record, begin):
            if due > now:
                break
            latest = due
            if record.every is not None:
                latest += (now - due) // timedelta(seconds=record.every) * timedelta(seconds=record.every)
                break
        if latest is not None or begin == after:
            return latest
    return None


def start(record: ScheduleRecord) -> datetime:
    known = record.handled or record.created_at
    if known is None:
        raise InvalidJob("created_at: missing")
    return known


def due_times(record: ScheduleRecord, after: datetime) -> Iterator[datetime]:
    """The due times behind a moment, in UTC, each one later than the one before.

    A time that the clock leaves out in spring is due right behind the gap, one that comes twice in autumn is due once.
    """
    if record.every is not None:
        anchor, period = record.created_at or after, timedelta(seconds=record.every)
        due = anchor + max(1, (after - anchor) // period + 1) * period
        while True:
            yield due
            due += period
    from cronsim import CronSim

    for local in CronSim(five_fields(record.cron or ""), after.astimezone(zone_of(record.timezone))):
        due = local.astimezone(UTC)
        if due > after:
            yield due
            after = due


# What people say


def five_fields(cron: str) -> str:
    return NICKNAMES.get(cron.lower(), cron)


def parse_cron(value: Any, field: str = "cron") -> str:
    """The expression with single blanks, or the nickname; raises `InvalidJob` saying which part is wrong."""
    from cronsim import CronSim, CronSimError

    if not isinstance(value, str) or not value.strip():
        raise InvalidJob(f"{field}: {value!r:.80} is not a cron expression; write {FIVE}")
    cron = " ".join(value.split())
    if cron.startswith("@") and cron.lower() not in NICKNAMES:
        raise InvalidJob(f"{field}: {cron!r:.80} is unknown{nearest(cron.lower(), NICKNAMES)}; write {FIVE}")
    if len(cron.split()) == 6 and "@" not in cron:
        raise InvalidJob(f'{field}: {cron!r:.80} has six fields; write {FIVE}; for seconds there is every="10s"')
    try:
        found = next(CronSim(five_fields(cron), datetime(2024, 1, 1)), None)
    except (CronSimError, ValueError) as error:
        raise InvalidJob(f"{field}: {cron!r:.80} cannot be read ({str(error).lower()}); write {FIVE}") from None
    if found is None:
        raise InvalidJob(f"{field}: {cron!r:.80} never comes, not once in 50 years")
    return cron


def parse_every(value: Any, field: str = "every") -> float:
    period = parse_duration(value, field)
    if period < SHORTEST:
        raise InvalidJob(f"{field}: {value!r} is too short; give one second or more")
    return period.total_seconds()


def parse_zone(value: Any, field: str = "timezone") -> str:
    """The IANA name of a zone given as text or as `ZoneInfo`."""
    name = getattr(value, "key", "UTC" if value is UTC else value)
    if not isinstance(name, str):
        raise InvalidJob(f'{field}: {value!r:.80} has no name; write a name of the IANA list, like "Europe/Berlin"')
    try:
        zone_of(name)
    except (OSError, ValueError, KeyError):
        hint = nearest_zone(name)
        raise InvalidJob(f'{field}: {name!r:.80} is no known zone{hint}; write "UTC" or a name like "Europe/Berlin"') from None
    return name


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def nearest_zone(name: str) -> str:
    """A hint for a zone that is not known: by its last part (`berlin`), or by spelling."""
    from zoneinfo import available_timezones

    known = sorted(available_timezones())
    if not known:
        return " (this machine has no list of zones; pip install tzdata)"
    asked = name.strip().lower().replace(" ", "_")
    same = [zone for zone in known if zone.lower() == asked] or [zone for zone in known if zone.lower().endswith(f"/{asked}")]
    return f" (did you mean {same[0]!r}?)" if same else nearest(name, set(known))


def describe(record: ScheduleRecord) -> str:
    """When it runs, for people: `every 15 min`, `at 06:00 on Monday through Friday (Europe/Berlin)`."""
    if record.every is not None:
        return f"every {short(record.every)}"
    from cronsim import CronSim

    cron = record.cron or ""
    try:
        text = CronSim(five_fields(cron), datetime(2024, 1, 1)).explain()
    except Exception:  # the words are an ornament
        text = cron
    return f"{text[:1].lower()}{text[1:]} ({record.timezone})"


def renewed(old: ScheduleRecord, new: ScheduleRecord) -> ScheduleRecord:
    """A schedule that is made again under its name: with the same timing it goes on where it was, so that a program may
    make it at each start. A pause stays, for whoever paused it did not ask for this."""
    if old.timing == new.timing:
        new = replace(new, created_at=old.created_at, handled=old.handled, note=old.note)
    return replace(new, last_run=old.last_run, last_job=old.last_job, paused=old.paused)
