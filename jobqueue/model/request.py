"""Reading a job from what people and other programs write: every field checked, every alias known."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from jobqueue.errors import InvalidJob, UnreadableJob
from jobqueue.model.job import (
    DEFAULT_PRIORITY,
    LOG_LEVELS,
    LOWEST_PRIORITY,
    ON_CONFLICT,
    ON_PARENT_FAILURE,
    PRIORITIES,
    Attempt,
    Failure,
    Job,
)
from jobqueue.model.json_value import brief, check_json
from jobqueue.model.retry import MOST_ATTEMPTS, parse_attempts, parse_backoff, parse_crashes
from jobqueue.model.times import UTC, parse_duration, parse_time

LONGEST_TEXT = 1000
KEYS_COMPARED = 1000
LONGEST_TYPE = 20_000
MOST_TAGS = 100
MOST_PARENTS = 10_000
"""Each of them is looked up before the job may run."""


def parse_type(value: Any, field: str = "type") -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidJob(f'{field}: {brief(value)} is not a type; give the name of a handler as a text, like "scan"')
    if len(value) > LONGEST_TYPE:
        raise InvalidJob(f"{field}: {len(value)} characters are too many for a type (at most {LONGEST_TYPE})")
    check_json(value, field)
    return str(value)


def parse_payload(value: Any, field: str = "payload") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidJob(
            f"{field}: a {type(value).__name__} is not a payload; give a JSON object, the keyword arguments of the handler"
        )
    payload = value if type(value) is dict else dict(value)
    check_json(payload, field)
    return payload


def parse_priority(value: Any, field: str = "priority") -> int:
    if isinstance(value, str) and value.lower() in PRIORITIES:
        return PRIORITIES[value.lower()]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJob(
            f"{field}: {brief(value)} is not a priority; give 0 to 99 (lower runs first) or {', '.join(PRIORITIES)}"
        )
    if not 0 <= value <= LOWEST_PRIORITY:
        raise InvalidJob(f"{field}: {brief(value)} is out of range; give 0 to {LOWEST_PRIORITY}, the lower number runs first")
    return value


def parse_text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidJob(f"{field}: {brief(value)} is not a text")
    if len(value) > LONGEST_TEXT:
        raise InvalidJob(f"{field}: {len(value)} characters are too many (at most {LONGEST_TEXT})")
    check_json(value, field)
    return value


def parse_number_or_text(value: Any, field: str) -> str | int:
    """Names of projects, batches and runs: other systems number them."""
    if isinstance(value, int) and not isinstance(value, bool):
        check_json(value, field)
        return value
    return parse_text(value, field)


def parse_name_or_number(value: Any, field: str) -> str:
    return parse_text(str(parse_number_or_text(value, field)), field)


def parse_retries(value: Any, field: str = "max_retries") -> int:
    """How many attempts so many retries make: one more."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_ATTEMPTS:
        raise InvalidJob(f"{field}: {brief(value)} is not a number of retries; give 0 (never retried) to {MOST_ATTEMPTS - 1}")
    return value + 1


def parse_timeout(value: Any, field: str = "timeout") -> float:
    seconds = parse_duration(value, field).total_seconds()
    if seconds <= 0:
        raise InvalidJob(f"{field}: {brief(value)} leaves no time to run; leave it out for no limit")
    return seconds


def parse_tags(value: Any, field: str = "tags") -> tuple[str, ...]:
    tags = [value] if isinstance(value, str) else value
    if not isinstance(tags, (list, tuple, set, frozenset)) or len(tags) > MOST_TAGS:
        raise InvalidJob(f"{field}: {brief(value)} are not tags; give a list of at most {MOST_TAGS} texts")
    return tuple(dict.fromkeys(parse_text(tag, f"{field}[{n}]") for n, tag in enumerate(tags)))


def parse_after(value: Any, field: str = "after") -> tuple[str, ...]:
    """Ids of the jobs to wait for; a handle counts as its id."""
    parents = [value] if isinstance(value, str) or hasattr(value, "id") else value
    if not isinstance(parents, (list, tuple)) or len(parents) > MOST_PARENTS:
        raise InvalidJob(f"{field}: {brief(value)} are not jobs; give at most {MOST_PARENTS} jobs or their ids")
    return tuple(parse_text(getattr(parent, "id", parent), f"{field}[{n}]") for n, parent in enumerate(parents))


def one_of(value: Any, field: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise InvalidJob(f"{field}: {brief(value)} is unknown; give one of {', '.join(words)}")
    return str(value)


def parse_on_parent_failure(value: Any, field: str = "on_parent_failure") -> str:
    return one_of(value, field, ON_PARENT_FAILURE)


def parse_on_conflict(value: Any, field: str = "on_conflict") -> str:
    return one_of(value, field, ON_CONFLICT)


def parse_log_level(value: Any, field: str = "log_level") -> str:
    """As it is written in `logging`, or in small letters."""
    return one_of(value.lower() if isinstance(value, str) else value, field, LOG_LEVELS)


def parse_key_scope(value: Any, field: str = "key_scope") -> str:
    if value in ("exists", "active"):
        return str(value)
    try:
        parse_duration(value, field)
    except InvalidJob:
        raise InvalidJob(
            f'{field}: {brief(value)} is unknown; give "exists" (held while the job\'s file exists), "active" '
            '(freed when the job has finished), or how long it is held, like "24h"'
        ) from None
    return value if isinstance(value, str) else f"{parse_duration(value, field).total_seconds():.3f}s"


def parse_key(value: Any, field: str = "idempotency_key") -> str | None:
    """A text; True asks for a key made from type, payload and pipeline version, which the queue fills in."""
    return None if value is True else parse_key_text(value, field)


def parse_key_text(value: Any, field: str) -> str:
    """A key may be made of what belongs into no log: it is not quoted."""
    if not isinstance(value, str):
        raise InvalidJob(f"{field}: a {type(value).__name__} is not a key; give a text")
    return parse_text(value, field)


def parse_force(value: Any, field: str = "force") -> bool:
    if not isinstance(value, bool):
        raise InvalidJob(f"{field}: {brief(value)} is neither true nor false")
    return value


def parse_any(value: Any, field: str) -> Any:
    check_json(value, field)
    return value


PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "type": parse_type,
    "payload": parse_payload,
    "name": parse_text,
    "priority": parse_priority,
    "run_after": parse_time,
    "expires_at": parse_time,
    "max_attempts": parse_attempts,
    "max_crashes": parse_crashes,
    "backoff": parse_backoff,
    "timeout": parse_timeout,
    "after": parse_after,
    "on_parent_failure": parse_on_parent_failure,
    "idempotency_key": parse_key,
    "key_scope": parse_key_scope,
    "concurrency_key": parse_key_text,
    "on_conflict": parse_on_conflict,
    "pipeline_version": parse_text,
    "project": parse_name_or_number,
    "batch": parse_name_or_number,
    "redo_of": parse_any,
    "row": parse_any,
    "run_id": parse_number_or_text,
    "tags": parse_tags,
    "force": parse_force,
    "log_level": parse_log_level,
    "created_at": parse_time,
}
"""What a caller, or a dropped file, may say of a job; the rest is for the queue to say."""

CONTROL_FIELDS = frozenset(Job.__struct_fields__) - frozenset(PARSERS) - {"id", "extra"}
WRITTEN_BY_US = "written_by"


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


OTHER_NAMES = {
    "data": "payload",
    "max_retries": "max_retries",
    "project_id": "project",
    "batch_id": "batch",
    "scan_id": "run_id",
    "job_id": "id",
    "locked_at": "claimed_at",
    "started_at": "claimed_at",
    "completed_at": "finished_at",
    "last_error": "error",
    "status": "status",
}
KNOWN_AS = {name: name for name in Job.__struct_fields__ if name != "extra"} | OTHER_NAMES
KNOWN_AS |= {camel(name): field for name, field in KNOWN_AS.items()}


def nearest(word: str, known: Mapping[str, Any] | frozenset[str] | set[str]) -> str:
    """A hint for a word that is not known: ` (did you mean 'priority'?)`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read_record(id: str, record: Any) -> Job:
    """The job that a decoded JSON document means; `id` comes from the file's name, never from its contents.

    A document that this package wrote is taken as it is. From any other the outcome fields (attempts, error,
    history, ...) are left out: a forged or foreign file asks for a job, it does not report one.
    Raises `UnreadableJob` naming the field and the fix.
    """
    if type(record) is not dict:
        raise UnreadableJob(
            f'not a JSON object but a {type(record).__name__}; a job looks like {{"type": "scan", "payload": {{}}}}'
        )
    if WRITTEN_BY_US in record or record.get("id") == id:
        try:
            return own_record(id, record)
        except msgspec.ValidationError:
            pass  # the slow path says which field it is, in words
    return foreign_record(id, record)


def own_record(id: str, record: dict[str, Any]) -> Job:
    job = msgspec.convert(record, Job)
    if len(record) > len(Job.__struct_fields__) or not record.keys() <= KNOWN_OWN:
        raise msgspec.ValidationError("unknown keys")
    if job.written_by is None and not CONTROL_FIELDS.isdisjoint(record.keys()):
        raise msgspec.ValidationError("an outcome that this package did not write")
    try:
        job = in_utc(job)
    except OverflowError:
        raise msgspec.ValidationError("a time out of range") from None
    return job if job.id == id else msgspec.structs.replace(job, id=id)


TIMES = ("run_after", "expires_at", "created_at", "updated_at", "claimed_at", "finished_at")


def in_utc(job: Job) -> Job:
    """The job with all its times in UTC, as this package writes them; `OverflowError` where one lies beyond the years
    1 to 9999 there, though not where it was written."""
    given = {field: moment for field in TIMES if (moment := getattr(job, field)) is not None and moment.tzinfo is not UTC}
    if given:
        job = msgspec.structs.replace(job, **{field: moment.astimezone(UTC) for field, moment in given.items()})
    if job.history and any(is_elsewhere(attempt.claimed_at, attempt.finished_at) for attempt in job.history):
        job = msgspec.structs.replace(job, history=tuple(attempt_in_utc(attempt) for attempt in job.history))
    if job.progress is not None and is_elsewhere(job.progress.at):
        job = msgspec.structs.replace(job, progress=msgspec.structs.replace(job.progress, at=to_utc(job.progress.at)))
    return job


def is_elsewhere(*moments: datetime | None) -> bool:
    return any(moment is not None and moment.tzinfo is not UTC for moment in moments)


def attempt_in_utc(attempt: Attempt) -> Attempt:
    claimed_at, finished_at = to_utc(attempt.claimed_at), to_utc(attempt.finished_at)
    return msgspec.structs.replace(attempt, claimed_at=claimed_at, finished_at=finished_at)


def to_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


KNOWN_OWN = frozenset(Job.__struct_fields__)


def foreign_record(id: str, record: dict[str, Any]) -> Job:
    fields, extra = sort_keys(record)
    if fields.get("type") is None:
        wrote = difflib.get_close_matches("type", list(islice(extra, KEYS_COMPARED)), n=1)
        hint = f"; is {wrote[0]!r} meant?" if wrote else ""
        raise UnreadableJob(f"type: missing; it is the one field that a job must have{hint}")
    if "delay" in extra:
        raise UnreadableJob('delay: a file cannot carry a delay; write run_after, like "2026-11-22T06:00:00Z"')
    given: dict[str, Any] = {}
    try:
        if (retries := fields.pop("max_retries", None)) is not None:
            given["max_attempts"] = parse_retries(retries)
        for field, value in fields.items():
            if field in PARSERS and value is not None:
                given[field] = PARSERS[field](value, field)
        for key, value in extra.items():  # as deep as a payload may be: it will stand one level deeper than it came
            check_json(value, brief(key))
    except InvalidJob as error:
        raise UnreadableJob(str(error)) from None
    given.setdefault("name", name_in(given.get("payload", {})))
    if isinstance(fields.get(WRITTEN_BY_US), str):
        given |= trusted_outcome(fields)
    return Job(id=id, extra=extra, **given)


def sort_keys(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our fields by our names, and the keys that mean nothing here."""
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if isinstance(record.get("extra"), dict):
        extra |= record["extra"]
    for key, value in record.items():
        field = KNOWN_AS.get(key)
        if field is None:
            if key != "extra":
                extra[key] = value
        elif fields.get(field) is not None and value is not None:
            if field in PARSERS:
                raise UnreadableJob(f"{key}: given twice, also under another name; keep {field!r}")
        elif value is not None or field not in fields:
            fields[field] = value
    return fields, extra


def name_in(payload: Mapping[str, Any]) -> str | None:
    """System A repeats the name inside the payload."""
    name = payload.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= LONGEST_TEXT else None


def trusted_outcome(fields: dict[str, Any]) -> dict[str, Any]:
    """The outcome fields of a file that says this package wrote it, each one kept only where its type is right."""
    kept: dict[str, Any] = {}
    for field in CONTROL_FIELDS & fields.keys():
        value = {"message": fields[field]} if field == "error" and isinstance(fields[field], str) else fields[field]
        try:
            probe = in_utc(msgspec.convert({"id": "-", "type": "-", field: value}, Job))
        except (msgspec.ValidationError, OverflowError):
            continue
        kept[field] = getattr(probe, field)
    return kept


OPTIONS = frozenset(PARSERS) - {"type", "payload", "created_at"} | {"delay", "max_retries", "force", "id", "expires_in"}
"""What `enqueue` takes beside type and payload; `delay` and `expires_in` count from now, `max_retries=n` is n + 1 attempts."""


def read_options(options: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The fields of a job from the options of `enqueue`; raises `InvalidJob` naming the option and the fix."""
    unknown = set(options) - OPTIONS
    if unknown:
        word = min(unknown)
        raise InvalidJob(
            f"{word}: not an option{nearest(word, OPTIONS)}; a handler's own arguments go into the payload, "
            f"and the options are {', '.join(sorted(OPTIONS))}"
        )
    given = {field: PARSERS[field](value, field) for field, value in options.items() if field in PARSERS and value is not None}
    for option, field in (("delay", "run_after"), ("expires_in", "expires_at")):
        if options.get(option) is not None:
            if field in given:
                raise InvalidJob(f"{option}: given together with {field}; give one of the two")
            given[field] = now + parse_duration(options[option], option)
    if options.get("max_retries") is not None:
        if "max_attempts" in given:
            raise InvalidJob("max_retries: given together with max_attempts; give one of the two")
        given["max_attempts"] = parse_retries(options["max_retries"])
    if given.get("key_scope") and not options.get("idempotency_key"):
        raise InvalidJob("key_scope: given without idempotency_key")
    return given


def describe(error: str | Failure | None) -> str:
    """A failure in one line, for lists."""
    text = error.message if isinstance(error, Failure) else error or ""
    return text.strip().splitlines()[0] if text.strip() else ""


__all__ = ["DEFAULT_PRIORITY", "OPTIONS", "describe", "nearest", "read_options", "read_record"]
