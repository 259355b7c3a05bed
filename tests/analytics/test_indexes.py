"""An index goes into the jobs of a batch, through JSON, and comes back as it was."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.analytics.indexes import index_of, rows_of
from jobqueue.errors import InvalidJob


def back(index: Any) -> pd.Index[Any]:
    return index_of(json.loads(json.dumps(rows_of(index))), range(len(index)))


def same(index: Any) -> None:
    pd.testing.assert_index_equal(back(index), index, exact="equiv", check_freq=False)


INDEXES = {
    "counting": pd.RangeIndex(3),
    "counting, with a name": pd.RangeIndex(3, name="row"),
    "counting from 5": pd.RangeIndex(5, 8),
    "integers twice": pd.Index([7, 7, -1], name="n"),
    "large integers": pd.Index([2**63, 2**64 - 1], dtype="uint64"),
    "floats": pd.Index([0.1, math.nan, math.inf, -math.inf]),
    "texts": pd.Index(["a", "b", "a"], name="key"),
    "missing texts": pd.Index(["a", None], dtype="str"),
    "booleans": pd.Index([True, False]),
    "nullable integers": pd.Index([1, None], dtype="Int64"),
    "days": pd.date_range("2026-11-22", periods=3, name="day"),
    "hours in a zone, over the change": pd.date_range("2026-10-25 00:00", periods=5, freq="h", tz="Europe/Berlin"),
    "utc": pd.DatetimeIndex(["2026-11-22T06:15:00.123456Z", None]),
    "nanoseconds": pd.DatetimeIndex([pd.Timestamp(1_763_885_521_123_456_789)]),
    "seconds of long ago": pd.DatetimeIndex(np.array(["0001-01-01T00:00:00", "2026-01-01T00:00:00"], dtype="datetime64[s]")),
    "a fixed offset": pd.date_range("2026-11-22", periods=2, tz=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "spans": pd.TimedeltaIndex(["-1 days +02:03:04.000005", "3s", None], name="took"),
    "months": pd.period_range("2026-10", periods=3, freq="M"),
    "intervals": pd.interval_range(0, 3, closed="left"),
    "categories": pd.CategoricalIndex(["a", "b", "a"]),
    "dates": pd.Index([dt.date(2026, 11, 22), dt.date(2026, 11, 23)], dtype=object),
    "all sorts": pd.Index([1, "a", 1.5, None, dt.date(2026, 1, 1), ("x", 2), True], dtype=object),
    "tuples": pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    "levels": pd.MultiIndex.from_product([["a", "b"], pd.date_range("2026-11-22", periods=2, tz="UTC")], names=["key", "day"]),
    "levels without names": pd.MultiIndex.from_tuples([("a", 1), ("a", 1)]),
    "one level": pd.MultiIndex.from_arrays([["a", "b"]], names=["key"]),
    "a missing label": pd.MultiIndex.from_tuples([("a", 1.5), (None, math.nan)]),
    "a number for a name": pd.Index(["a"], name=3),
}


@pytest.mark.parametrize("word", INDEXES)
def test_an_index_comes_back_as_it_was(word: str) -> None:
    same(INDEXES[word])


def test_what_just_counts_costs_nothing() -> None:
    assert rows_of(pd.RangeIndex(2)) == [{}, {}]


def test_some_rows_of_it_keep_their_numbers() -> None:
    assert list(index_of([{}, {}], [1, 4])) == [1, 4]


@pytest.mark.parametrize("label", [b"bytes", set, 1j, "\ud800", 10**5000], ids=["bytes", "class", "complex", "half", "huge"])
def test_a_label_that_cannot_be_kept_is_refused(label: Any) -> None:
    with pytest.raises(InvalidJob, match=r"^index.*reset_index"):
        rows_of(pd.Index([label], dtype=object))


labels = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.dates()
    | st.datetimes(
        timezones=st.just(dt.timezone.utc), min_value=dt.datetime(1700, 1, 1), max_value=dt.datetime(2200, 1, 1)
    ).map(pd.Timestamp)
    | st.integers(-(2**62), 2**62).map(lambda n: pd.Timedelta(n, "ns"))
    | st.tuples(st.integers(), st.text())
)


@given(st.lists(labels, max_size=6))
def test_any_label_comes_back_as_itself(found: list[Any]) -> None:
    index = pd.Index(found, dtype=object, tupleize_cols=False)
    assert list(map(repr, back(index))) == list(map(repr, index))


@given(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=6))
def test_any_levels_come_back(pairs: list[tuple[str, int]]) -> None:
    same(pd.MultiIndex.from_tuples(pairs, names=["key", None]))
