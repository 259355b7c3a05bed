"""The cells of a frame as JSON: what JSON has is kept, what it has not is written in one plain way, or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.errors import InvalidJob, NotJSON
from jobqueue.model.json_value import advice, brief, check_json, plain
from jobqueue.model.schedule import parse_zone

Zone = Any
"""A time zone: its name, or a ZoneInfo; None where naive times are refused."""
NAIVE = "a time without a zone; give timezone='Europe/Berlin' (or 'UTC'), or df[column].dt.tz_localize(...)"
SPAN = "a timedelta, which JSON does not have; write its seconds: df[column].dt.total_seconds()"
FORMS = {
    "m": SPAN,
    "c": "a complex number; give its parts as two columns",
    "V": "a structured value; give its fields as columns",
}


class Unfit(Exception):
    """A value that cannot be put into JSON; where it stands is added on the way out."""


def payloads_of(frame: pd.DataFrame, columns: Sequence[str] | None, zone: Zone) -> list[dict[str, Any]]:
    """One dict for each row; raises `InvalidJob` naming the row and the column of a value that JSON cannot hold."""
    names = names_of(frame, columns)
    zone = None if zone is None else parse_zone(zone)
    lists = [column_values(frame, name, zone) for name in names]
    if not names:
        return [{} for _ in range(len(frame))]
    return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]


def names_of(frame: pd.DataFrame, columns: Sequence[str] | None) -> list[str]:
    names = list(frame.columns) if columns is None else [columns] if isinstance(columns, str) else list(columns)
    for name in names:
        if not isinstance(name, str):
            raise InvalidJob(
                f"columns: {brief(name)} is not a text; name them, as df.rename(columns=str) does, or choose columns"
            )
        if name not in frame.columns:
            have = ", ".join(map(brief, frame.columns[:20]))
            raise InvalidJob(f"columns: {name!r} is not in the frame (it has {have or 'none'})")
    twice = [name for name in names if names.count(name) > 1 or list(frame.columns).count(name) > 1]
    if twice:
        raise InvalidJob(f"columns: {twice[0]!r} is there twice; a payload has each name once")
    check_json(names, "columns")
    return names


def column_values(frame: pd.DataFrame, name: str, zone: Zone) -> list[Any]:
    column = frame[name]
    try:
        return fast_values(column, zone)
    except Unfit:
        return slow_values(column, name, frame.index, zone)


def fast_values(column: pd.Series[Any], zone: Zone) -> list[Any]:
    """Whole columns of one kind; `Unfit` where single values must be looked at."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return categories(column, zone)
    if isinstance(dtype, np.dtype) and dtype.kind in "biu":
        return column.tolist()
    if isinstance(dtype, (pd.Int64Dtype, pd.BooleanDtype)) or (isinstance(dtype, np.dtype) and dtype.kind == "f"):
        if dtype.kind == "f" and np.isinf(column.to_numpy()).any():
            raise Unfit
        return without_missing(column)
    if isinstance(dtype, pd.StringDtype):
        values = without_missing(column)
        if not all(value is None or value.isascii() for value in values):
            check_all(values)
        return values
    if isinstance(dtype, pd.DatetimeTZDtype):
        return [None if value is pd.NaT else value.isoformat() for value in column]
    if isinstance(dtype, np.dtype) and dtype.kind == "M" and zone is not None:
        return fast_values(localised(column, zone), zone)
    raise Unfit


def without_missing(column: pd.Series[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    for place in np.flatnonzero(column.isna().to_numpy()):
        values[place] = None
    return values


def check_all(values: list[Any]) -> None:
    try:
        check_json(values)
    except NotJSON:
        raise Unfit from None


def categories(column: pd.Series[Any], zone: Zone) -> list[Any]:
    """Each category is converted once; those that no row has do not matter."""
    used = column.cat.remove_unused_categories()
    values = [json_of(value, zone) for value in used.cat.categories.astype(object)]
    return [None if code < 0 else values[code] for code in used.cat.codes.tolist()]


def localised(column: pd.Series[Any], zone: Zone) -> pd.Series[Any]:
    try:
        aware: pd.Series[Any] = column.dt.tz_localize(zone)
        return aware
    except Exception:  # an hour that the clocks skip or repeat: which row it is, is found one by one
        raise Unfit from None


def slow_values(column: pd.Series[Any], name: str, index: pd.Index[Any], zone: Zone) -> list[Any]:
    """Value by value, so that one that does not fit is named."""
    found = []
    for number, value in enumerate(column.astype(object)):
        try:
            found.append(json_of(value, zone))
        except Unfit as unfit:
            label = "" if index[number] == number else f" (index {brief(index[number])})"
            raise InvalidJob(f"row {number}{label}, column {name!r}: {unfit}") from None
    return found


def json_of(value: Any, zone: Zone) -> Any:
    """A value as JSON has it: missing ones are null, moments ISO 8601 with their zone; `Unfit` for all else."""
    if plain(value):
        return value
    found = convert(value, zone)
    try:
        check_json(found, "it")
    except NotJSON as error:
        raise Unfit(str(error).partition(": ")[2] if error.path == "it" else str(error)) from None
    return found


def convert(value: Any, zone: Zone) -> Any:
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    for kind, turn in TURNS:
        if isinstance(value, kind):
            return turn(value, zone)
    raise Unfit(f"a {type(value).__name__}, which JSON does not have; {advice(value)}")


def moment(value: datetime, zone: Zone) -> str:
    if value.tzinfo is None:
        if zone is None:
            raise Unfit(NAIVE)
        try:
            value = pd.Timestamp(value).tz_localize(zone)
        except Exception as error:
            raise Unfit(f"{value} is no time in {zone} ({type(error).__name__}): give it with its zone") from None
    return value.isoformat()


def number(value: float, zone: Zone) -> float | None:
    if value != value:
        return None
    if value in (float("inf"), float("-inf")):
        raise Unfit(f"{value} is not a JSON number; use None, or a text")
    return float(value)


def mapping(value: dict[Any, Any], zone: Zone) -> dict[str, Any]:
    return {key: item if plain(item) else convert(item, zone) for key, item in value.items()}


def sequence(value: Sequence[Any], zone: Zone) -> list[Any]:
    return [item if plain(item) else convert(item, zone) for item in value]


def scalar(value: np.generic, zone: Zone) -> Any:
    if value.dtype.kind == "M":
        return convert(pd.Timestamp(value), zone)  # type: ignore[arg-type]
    if value.dtype.kind in FORMS:
        raise Unfit(FORMS[value.dtype.kind])
    return convert(value.item(), zone)


def array(value: np.ndarray[Any, Any], zone: Zone) -> list[Any]:
    return sequence(list(value) if value.dtype.kind in "MmO" else value.tolist(), zone)


def refuse_span(value: Any, zone: Zone) -> None:
    raise Unfit(SPAN)


def itself(value: Any, zone: Zone) -> Any:
    """For `check_json` to judge: a plain value is kept, a subclass of one (an Enum, say) is refused."""
    return value


TURNS: list[tuple[Any, Callable[[Any, Zone], Any]]] = [
    (np.ndarray, array),
    (np.str_, lambda value, zone: str(value)),
    (np.generic, scalar),
    (float, number),
    (datetime, moment),
    (date, lambda value, zone: value.isoformat()),
    (dict, mapping),
    ((list, tuple), sequence),
    (timedelta, refuse_span),
    ((str, int), itself),
]
