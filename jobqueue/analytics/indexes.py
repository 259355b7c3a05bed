"""The index of a frame, a value for each job, as JSON and back: any index comes back as it was, whatever it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.errors import InvalidJob, NotJSON
from jobqueue.model.json_value import brief, check_json

Row = dict[str, Any]


def rows_of(index: pd.Index[Any]) -> list[Row]:
    """What each job is told of the index: nothing where it just counts from 0, else its label, and of what kind it is."""
    count = len(index)
    if index.names == [None] and isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(count)):
        return [{} for _ in range(count)]
    levels = [index.get_level_values(number) for number in range(index.nlevels)]
    try:
        kind: Row = {"names": [to_json(name) for name in index.names], "dtypes": [str(level.dtype) for level in levels]}
        columns = [[to_json(value) for value in level] for level in levels]
        check_json([kind, columns], "index", digits=4000)
    except (NotIndex, NotJSON) as error:
        raise InvalidJob(
            f"index: {error}; give the frame an index of texts, numbers or times, as df.reset_index() does"
        ) from None
    labels = columns[0] if not isinstance(index, pd.MultiIndex) else list(map(list, zip(*columns, strict=True)))
    return [{"index": label, **kind} for label in labels]


class NotIndex(Exception):
    """A label that is not kept."""


def index_of(rows: Sequence[Row], numbers: Sequence[int]) -> Any:
    """The index that was made into these rows; their numbers where it just counted."""
    if not rows or "index" not in rows[0]:
        counted = list(numbers) == list(range(len(numbers)))
        return pd.RangeIndex(len(numbers)) if counted else pd.Index(np.array(numbers, dtype="int64"))
    names = [from_json(name) for name in rows[0]["names"]]
    dtypes: list[str] = rows[0]["dtypes"]
    if len(dtypes) == 1 and not all(isinstance(row["index"], list) for row in rows):
        return level_of([row["index"] for row in rows], dtypes[0]).rename(names[0])
    levels = [level_of([row["index"][number] for row in rows], dtype) for number, dtype in enumerate(dtypes)]
    return pd.MultiIndex.from_arrays(levels, names=names)


def level_of(labels: Sequence[Any], dtype: str) -> Any:
    values = [from_json(label) for label in labels]
    if dtype.startswith("datetime64["):
        return times_of(values, dtype)
    try:
        return pd.Index(values, dtype=dtype, tupleize_cols=False)
    except (TypeError, ValueError):  # a kind of this version of pandas that another does not know
        return pd.Index(values, dtype=object, tupleize_cols=False)


def times_of(values: Sequence[Any], dtype: str) -> Any:
    """Through UTC: an hour that comes twice in its zone, and is written with two offsets, is two hours."""
    unit, _, zone = dtype.removeprefix("datetime64[").removesuffix("]").partition(", ")
    missing: Any = [pd.NaT if value != value or value is None else value for value in values]
    found = pd.DatetimeIndex(pd.to_datetime(missing, utc=bool(zone)))
    return (found.tz_convert(zone) if zone else found).as_unit(unit)  # type: ignore[arg-type]


def to_json(value: Any) -> Any:
    """A label: itself where JSON has it, else an object with one key that says what it is."""
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"float": str(value)}
    if value is pd.NA:
        return {"missing": "NA"}
    if value is pd.NaT:
        return {"missing": "NaT"}
    for word, (kind, write, _) in KINDS.items():
        if isinstance(value, kind):
            return {word: write(value)}
    raise NotIndex(f"{brief(value)}, a {type(value).__name__}, cannot be kept")


def from_json(label: Any) -> Any:
    if not isinstance(label, dict):
        return label
    [(word, value)] = label.items()
    if word == "float":
        return float(value)
    return MISSING[value] if word == "missing" else KINDS[word][2](value)


MISSING = {"NA": pd.NA, "NaT": pd.NaT}
KINDS: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "time": ((pd.Timestamp, np.datetime64), lambda value: pd.Timestamp(value).isoformat(), pd.Timestamp),
    "span": (
        (pd.Timedelta, np.timedelta64),
        lambda value: [int(pd.Timedelta(value).asm8.view("int64")), pd.Timedelta(value).unit],
        lambda value: pd.Timedelta(np.timedelta64(value[0], value[1])),
    ),
    "date": (date, lambda value: value.isoformat(), date.fromisoformat),
    "period": (
        pd.Period,
        lambda value: [value.ordinal, value.freqstr],
        lambda value: pd.Period(ordinal=value[0], freq=value[1]),
    ),
    "interval": (
        pd.Interval,
        lambda value: [to_json(value.left), to_json(value.right), value.closed],
        lambda value: pd.Interval(from_json(value[0]), from_json(value[1]), value[2]),
    ),
    "tuple": (tuple, lambda value: list(map(to_json, value)), lambda value: tuple(map(from_json, value))),
}
