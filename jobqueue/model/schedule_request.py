"""Reading a schedule from what people write: a call, jobqueue.yaml, a file in the queue folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.model.names import GIVEN_ID
from jobqueue.model.request import OPTIONS, nearest, parse_payload, parse_type, read_options
from jobqueue.model.schedule import ScheduleRecord, parse_cron, parse_every, parse_zone
from jobqueue.model.times import parse_duration

OF_ONE_JOB = frozenset(
    {"id", "force", "idempotency_key", "key_scope", "run_after", "delay", "expires_at", "after", "on_parent_failure"}
) | {"redo_of", "row", "run_id", "name"}
JOB_OPTIONS = OPTIONS - OF_ONE_JOB
"""The options of `enqueue` that make sense for each job of a schedule."""
FIELDS = ("type", "payload", "cron", "every", "timezone", "name", "missed", "overlap")
CHOICES = {"missed": ("once", "skip"), "overlap": ("wait", "skip", "allow")}
LONGEST_NAME = 100
LAST_YEAR = 2500


def read_schedule(given: Mapping[str, Any], now: datetime, source: str = "") -> ScheduleRecord:
    """The schedule that the fields and options mean, as if made now; raises `InvalidJob` naming the field and the fix."""
    for word in given:
        if word not in FIELDS and word not in JOB_OPTIONS:
            raise InvalidJob(f"{word}: {unknown(str(word))}")
    known = {field: given[field] for field in FIELDS if given.get(field) is not None}
    if "type" not in known:
        raise InvalidJob('type: missing; give the name of a handler, like "report"')
    type = parse_type(known["type"])
    cron, every, zone = read_timing(known)
    now = now.replace(microsecond=0)
    return ScheduleRecord(
        name=parse_name(known["name"]) if "name" in known else name_from(type),
        type=type,
        payload=parse_payload(known.get("payload", {})),
        cron=cron,
        every=every,
        timezone=zone,
        missed=parse_choice(known.get("missed", "once"), "missed"),
        overlap=parse_choice(known.get("overlap", "wait"), "overlap"),
        options=parse_job_options({word: given[word] for word in given if word in JOB_OPTIONS}, now),
        source=source,
        created_at=now,
        handled=now,
    )


def unknown(word: str) -> str:
    if word in OF_ONE_JOB:
        return "belongs to one job, not to a schedule, which makes a new job each time; leave it out"
    known = {*FIELDS, *JOB_OPTIONS}
    return f"not an option of a schedule{nearest(word, known)}; a handler's own arguments go into the payload"


def read_timing(known: Mapping[str, Any]) -> tuple[str | None, float | None, str]:
    if "cron" not in known and "every" not in known:
        raise InvalidJob('cron: missing; say when, like cron="0 6 * * mon-fri" or every="15m"')
    if "cron" in known and "every" in known:
        raise InvalidJob("every: given together with cron; give one of the two")
    if "every" in known and "timezone" in known:
        raise InvalidJob("timezone: goes with cron; every counts from when the schedule was made, the same everywhere")
    if "every" in known:
        return None, parse_every(known["every"]), "UTC"
    return parse_cron(known["cron"]), None, parse_zone(known.get("timezone", "UTC"))


def parse_name(value: Any, field: str = "name") -> str:
    """It becomes the name of a file."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not GIVEN_ID.fullmatch(value):
        raise InvalidJob(
            f"{field}: {value!r:.80} cannot name a schedule; use letters, digits and . _ - up to {LONGEST_NAME} characters"
        )
    return value


def name_from(type: str) -> str:
    try:
        return parse_name(type)
    except InvalidJob:
        raise InvalidJob(
            f'name: the type {type!r:.80} cannot be the name of a schedule; give one, like name="nightly"'
        ) from None


def parse_choice(value: Any, field: str) -> Any:
    words = CHOICES[field]
    if value not in words:
        raise InvalidJob(f"{field}: {value!r:.80} is not known{nearest(str(value), set(words))}; give {', '.join(words)}")
    return value


def parse_job_options(options: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The options as JSON that `enqueue` takes again."""
    fields = read_options(options, now) if options else {}
    fields.pop("expires_at", None)
    kept: dict[str, Any] = msgspec.to_builtins(fields)
    if options.get("expires_in") is not None:
        kept["expires_in"] = parse_duration(options["expires_in"], "expires_in").total_seconds()
    return kept


def checked(record: ScheduleRecord, name: str) -> ScheduleRecord:
    """A record from a file that anybody may have edited; raises `InvalidJob` where it is no schedule."""
    if record.name != name:
        raise InvalidJob(f"name: {record.name!r:.80} is not that of the file")
    given = {field: getattr(record, field) for field in FIELDS if field != "timezone"} | record.options
    if record.cron is not None:
        given["timezone"] = record.timezone
    if record.created_at is None:
        raise InvalidJob("created_at: missing; it says from when on the due times count")
    for field in ("created_at", "handled", "last_run"):
        moment = getattr(record, field)
        if moment is not None and not 1970 <= moment.year <= LAST_YEAR:
            raise InvalidTime(f"{field}: {moment.isoformat()} is out of range")
    read = read_schedule(given, record.created_at)
    return replace(record, options=read.options, type=read.type)


def read_schedules(value: Any, name: str) -> tuple[dict[str, Any], ...]:
    """The `schedules` of a jobqueue.yaml: a mapping from names, or a list; each is checked and given back as written."""
    if isinstance(value, Mapping):
        entries = [(f"{name}.{key}", entry, key) for key, entry in value.items()]
    elif isinstance(value, (list, tuple)):
        entries = [(f"{name}[{number}]", entry, None) for number, entry in enumerate(value)]
    else:
        raise InvalidJob(f"{name}: {value!r:.80} are no schedules; write a mapping from names to cron, type, payload, ...")
    found: dict[str, dict[str, Any]] = {}
    for place, entry, key in entries:
        made = read_entry(place, entry, key)
        if made["name"] in found:
            raise InvalidJob(f"{place}: a second schedule named {made['name']!r}; give each a name of its own")
        found[made["name"]] = made
    return tuple(found.values())


def read_entry(place: str, entry: Any, key: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise InvalidJob(f'{place}: {entry!r:.80} is not a schedule; write cron: "0 6 * * mon-fri" and type: report below it')
    given = {str(word): value for word, value in entry.items()}
    if key is not None:
        if given.setdefault("name", key) != key:
            raise InvalidJob(f"{place}.name: {given['name']!r:.80} is not {key!r}; leave it out")
        given.setdefault("type", key)
    try:
        record = read_schedule(given, LONG_AGO)
    except InvalidJob as error:
        raise InvalidJob(f"{place}.{error}") from None
    return given | {"name": record.name}


LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
