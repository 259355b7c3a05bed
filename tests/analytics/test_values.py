"""Cells of a frame as JSON: what comes out is what went in, or an error that names row and column."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.analytics.values import payloads_of
from jobqueue.errors import InvalidJob
from jobqueue.model.json_value import check_json

ZONE = "Europe/Berlin"


def column(values: Any, zone: Any = None, **how: Any) -> list[Any]:
    payloads = payloads_of(pd.DataFrame({"x": pd.Series(values, **how)}), None, zone)
    check_json(payloads)  # strictly JSON: no NumPy number and no NaN is left in it
    return [payload["x"] for payload in payloads]


@pytest.mark.parametrize(
    ("values", "dtype", "json_values"),
    [
        ([1, -2], "int64", [1, -2]),
        ([255], "uint8", [255]),
        ([2**64 - 1], "uint64", [2**64 - 1]),
        ([1, None], "Int64", [1, None]),
        ([2**53 + 1, None], "Int64", [2**53 + 1, None]),
        ([1, None], "UInt8", [1, None]),
        ([1.5, math.nan], "float64", [1.5, None]),
        ([0.5, None], "Float64", [0.5, None]),
        ([1.5], "float32", [1.5]),
        ([True, False], "bool", [True, False]),
        ([True, None], "boolean", [True, None]),
        (["a", None, "größe"], "str", ["a", None, "größe"]),
        (["a", None], "string", ["a", None]),
        (["a", None], "object", ["a", None]),
        (["b", "a", None, "b"], "category", ["b", "a", None, "b"]),
        ([1, 2, None], "int64[pyarrow]", [1, 2, None]),
        ([1, 1.5, "a", True, None, math.nan, pd.NA, pd.NaT], "object", [1, 1.5, "a", True, None, None, None, None]),
        ([[1, [2.5, math.nan]], {"a": {"b": (1, None)}}], "object", [[1, [2.5, None]], {"a": {"b": [1, None]}}]),
        ([np.array([1, 2]), np.array(["a"], dtype=object)], "object", [[1, 2], ["a"]]),
        ([np.int8(3), np.bool_(True), np.float32(0.5), np.str_("s")], "object", [3, True, 0.5, "s"]),
        ([dt.date(2026, 11, 22)], "object", ["2026-11-22"]),
        ([10**30], "object", [10**30]),
    ],
)
def test_values_become_json_without_a_change(values: Any, dtype: str, json_values: list[Any]) -> None:
    found = column(values, dtype=dtype)
    assert found == json_values
    assert list(map(type, found)) == list(map(type, json_values))


def test_times_are_written_with_their_zone() -> None:
    noon = pd.Timestamp("2026-11-22 12:00", tz=ZONE)
    assert column([noon, pd.NaT]) == ["2026-11-22T12:00:00+01:00", None]
    mixed = [noon.to_pydatetime(), dt.datetime(2026, 11, 22, 11, tzinfo=dt.timezone.utc)]
    assert column(mixed, dtype="object") == ["2026-11-22T12:00:00+01:00", "2026-11-22T11:00:00+00:00"]
    assert column(pd.Categorical([noon, None])) == ["2026-11-22T12:00:00+01:00", None]


def test_naive_times_take_the_zone_that_is_given() -> None:
    naive = [pd.Timestamp("2026-11-22 12:00"), pd.NaT]
    assert column(naive, ZONE) == ["2026-11-22T12:00:00+01:00", None]
    assert column(naive, ZONE, dtype="object") == ["2026-11-22T12:00:00+01:00", None]
    assert column([np.datetime64("2026-11-22T12:00"), {"at": dt.datetime(2026, 7, 1)}], ZONE, dtype="object") == [
        "2026-11-22T12:00:00+01:00",
        {"at": "2026-07-01T00:00:00+02:00"},
    ]


class Color(str):
    pass


REFUSED = [
    (["a", Decimal("1.5")], "object", "a Decimal, which JSON does not have"),
    ([{1}], "object", "write sorted"),
    ([b"x"], "object", "write .decode()"),
    ([uuid.uuid4()], "object", "a UUID, which JSON does not have"),
    ([Color("red")], "object", "write str("),
    ([{1: "a"}], "object", "the key 1 is not a text"),
    ([{"a": [1, {"b": {2}}]}], "object", "a set, which JSON does not have"),
    (["\ud800"], "object", "lone surrogate"),
    ([10**5000], "object", "more than 4,000 digits"),
    ([1.0, math.inf], "float64", "inf is not a JSON number"),
    ([dt.timedelta(1)], "object", "total_seconds"),
    ([pd.Timedelta("1D")], "timedelta64[us]", "total_seconds"),
    ([1 + 2j], "complex128", "complex"),
    ([pd.Period("2026-11")], None, "a Period, which JSON does not have"),
    ([pd.Timestamp("2026-11-22")], None, "a time without a zone; give timezone="),
    ([lambda: 0], "object", "a function, which JSON does not have"),
]


@pytest.mark.parametrize(("values", "dtype", "why"), REFUSED)
def test_what_json_does_not_have_is_refused_with_row_and_column(values: Any, dtype: str | None, why: str) -> None:
    with pytest.raises(InvalidJob) as refusal:
        column(values, dtype=dtype)
    assert str(refusal.value).startswith(f"row {len(values) - 1}, column 'x': ")
    assert why in str(refusal.value)


def test_a_refusal_names_the_label_of_its_row() -> None:
    frame = pd.DataFrame({"x": [1, {2}]}, index=["first", "second"])
    with pytest.raises(InvalidJob, match=r"row 1 \(index 'second'\), column 'x'"):
        payloads_of(frame, None, None)


@pytest.mark.parametrize("when", ["2026-10-25 02:30", "2026-03-29 02:30"])
def test_an_hour_that_comes_twice_or_never_is_refused(when: str) -> None:
    with pytest.raises(InvalidJob, match=f"row 1, column 'x': {when}:00 is no time in Europe/Berlin"):
        column([pd.Timestamp("2026-01-01"), pd.Timestamp(when)], ZONE)


@pytest.mark.parametrize("zone", ["UTC", dt.timezone.utc, zoneinfo.ZoneInfo("Europe/Berlin")])
def test_a_zone_is_a_name_or_an_object(zone: Any) -> None:
    assert column([pd.Timestamp("2026-11-22")], zone)[0].startswith("2026-11-22T00:00:00+0")
    with pytest.raises(InvalidJob, match="timezone: 'Europe/Berlni' is no known zone"):
        column([1], "Europe/Berlni")


def test_columns_are_chosen_and_checked() -> None:
    frame = pd.DataFrame({"a": [1], "b": [{1}]})
    assert payloads_of(frame, ["a"], None) == [{"a": 1}]
    assert payloads_of(frame, "a", None) == [{"a": 1}]
    assert payloads_of(frame, [], None) == [{}]
    with pytest.raises(InvalidJob, match="columns: 'c' is not in the frame \\(it has 'a', 'b'\\)"):
        payloads_of(frame, ["c"], None)
    with pytest.raises(InvalidJob, match="columns: 0 is not a text"):
        payloads_of(pd.DataFrame([[1]]), None, None)
    with pytest.raises(InvalidJob, match="columns: 'a' is there twice"):
        payloads_of(pd.DataFrame([[1, 2]], columns=["a", "a"]), None, None)


# -- any JSON value comes back as itself

scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(st.lists(values, max_size=8))
def test_any_json_value_stays_what_it_is(cells: list[Any]) -> None:
    series = pd.Series(cells, dtype="object")
    found = [payload["x"] for payload in payloads_of(pd.DataFrame({"x": series}), None, None)]
    assert json.dumps(found) == json.dumps(cells)


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=8))
def test_nullable_integers_stay_integers(cells: list[Any]) -> None:
    assert json.dumps(column(cells, dtype="Int64")) == json.dumps(cells)


@given(st.lists(st.none() | st.text(), max_size=8))
def test_texts_stay_texts_also_as_categories(cells: list[Any]) -> None:
    assert column(cells, dtype="str") == cells
    assert column(pd.Categorical(cells)) == cells
