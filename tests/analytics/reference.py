"""The frames, made in the plainest way: each line through msgspec, rows as dicts, pandas does the rest. Slow and right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pandas as pd

from jobqueue.analytics.schema import ATTEMPTS, EVENTS, ITEMS
from jobqueue.model.entry import ITEM, AttemptEntry, EventEntry, ItemEntry


def attempts(lines: Iterable[bytes]) -> pd.DataFrame:
    entries = [entry for line in lines if said(line) is None and (entry := decoded(line, AttemptEntry)) is not None]
    return typed([attempt_row(entry) for entry in first_of_each(entries, lambda entry: entry.key)], ATTEMPTS, "finished_at")


def items(lines: Iterable[bytes]) -> pd.DataFrame:
    entries = [entry for line in lines if said(line) == ITEM and (entry := decoded(line, ItemEntry)) is not None]
    once = first_of_each(entries, lambda entry: (entry.job, entry.round, entry.track, entry.key))
    return typed([item_row(entry) for entry in once], ITEMS, "at")


def events(lines: Iterable[bytes]) -> pd.DataFrame:
    entries = [entry for line in lines if said(line) not in (None, ITEM) and (entry := decoded(line, EventEntry)) is not None]
    rows = [
        msgspec.structs.asdict(entry) | {"jobs": tuple(entry.jobs)} for entry in first_of_each(entries, msgspec.json.encode)
    ]
    return typed(rows, EVENTS, "at")


def skipped(lines: Iterable[bytes]) -> int:
    kinds = {None: AttemptEntry, ITEM: ItemEntry}
    return sum(bool(line.strip()) and decoded(line, kinds.get(said(line), EventEntry)) is None for line in lines)


def first_of_each(entries: Iterable[Any], key: Any) -> list[Any]:
    found: dict[Any, Any] = {}
    for entry in entries:
        found.setdefault(key(entry), entry)
    return list(found.values())


def said(line: bytes) -> Any:
    """What the line says it is about; of a line that is no object, or says it in no text, something that nothing can be."""
    try:
        document = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return 0
    what = document.get("what") if isinstance(document, dict) else 0
    return what if what is None or isinstance(what, str) else 0


def decoded(line: bytes, kind: Any) -> Any:
    try:
        document = given(msgspec.json.decode(line))
        entry = msgspec.convert(document, kind)
    except (msgspec.MsgspecError, ValueError):
        return None
    return entry if in_range(entry) else None


def given(document: Any) -> Any:
    """Null is nothing: the same as a field that is not there."""
    if not isinstance(document, dict):
        return document
    fields = {name: value for name, value in document.items() if value is not None}
    return fields | {"error": given(fields["error"])} if "error" in fields else fields


def in_range(entry: Any) -> bool:
    """Numbers that the columns of the schema can hold, and spans below three thousand years."""
    limits = {"number": 2**31, "round": 2**31, "count": 2**53, "wait_ms": 1e14, "run_ms": 1e14, "seconds": 1e11}
    code = getattr(getattr(entry, "error", None), "exit_code", None)
    return abs(code or 0) < 2**15 and all(abs(getattr(entry, name, None) or 0) < most for name, most in limits.items())


def attempt_row(entry: AttemptEntry) -> dict[str, Any]:
    error = entry.error
    row = {name: getattr(entry, name, None) for name in ATTEMPTS}
    row |= {"attempt": entry.number, "wait": span(entry.wait_ms), "run": span(entry.run_ms)}
    row |= {"reason": None, "error_type": None, "error": None, "exit_code": None}
    if error is not None:
        row |= {"reason": error.reason, "error_type": error.type, "error": error.message, "exit_code": error.exit_code}
    back = entry.finished_at is not None and entry.claimed_at is not None and entry.finished_at < entry.claimed_at
    row["clock_jump"] = (entry.wait_ms or 0) < 0 or (entry.run_ms or 0) < 0 or back
    return row | {f"metrics.{name}": value for name, value in entry.metrics.items()}


def item_row(entry: ItemEntry) -> dict[str, Any]:
    row = {name: getattr(entry, name, None) for name in ITEMS}
    row |= {"attempt": entry.number, "run": span(None if entry.seconds is None else entry.seconds * 1000)}
    return row | {f"metrics.{name}": value for name, value in entry.metrics.items()}


def span(milliseconds: float | None) -> Any:
    return None if milliseconds is None else pd.Timedelta(round(milliseconds * 1000), "us")


def typed(rows: list[dict[str, Any]], schema: Mapping[str, str], by: str) -> pd.DataFrame:
    metrics = sorted({name for row in rows for name in row if name.startswith("metrics.")})
    frame = pd.DataFrame(rows, columns=[*schema, *metrics])
    for name, dtype in schema.items():
        frame[name] = frame[name].astype(dtype)
    return frame.astype(dict.fromkeys(metrics, "float64")).sort_values(by, kind="stable", ignore_index=True)
