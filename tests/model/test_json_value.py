import json
from collections import OrderedDict, namedtuple
from datetime import date
from enum import IntEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.errors import InvalidJob, NotJSON
from jobqueue.model.json_value import DEEPEST, MOST_DIGITS, check_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(VALUES)
def test_what_is_accepted_comes_back_from_json_as_it_was(value):
    check_json(value)

    assert json.loads(json.dumps(value)) == value


@given(st.lists(st.integers(0, 5) | st.text("abc", min_size=1, max_size=3), max_size=8))
def test_the_error_names_the_path(path):
    value = {1, 2}
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [0] * step + [value]

    with pytest.raises(NotJSON) as caught:
        check_json(value)

    written = "payload" + "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in path)
    assert caught.value.path == written
    assert str(caught.value).startswith(f"{written}: a set is not a JSON value")


class Level(IntEnum):
    HIGH = 1


Point = namedtuple("Point", "x y")


class Array:
    def tolist(self):
        return []


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (date(2026, 1, 1), "write .isoformat()"),
        (Array(), "write .tolist()"),
        ({1}, "write sorted(...)"),
        (frozenset(), "write sorted(...)"),
        (b"x", "write .decode()"),
        (bytearray(), "write .decode()"),
        (Path(), "write str(...)"),
        (OrderedDict(), "write dict(...)"),
        (Point(1, 2), "write tuple(...)"),
        (Level.HIGH, "write "),
        (object(), "use texts, numbers, booleans"),
        (complex(1, 2), "use texts, numbers, booleans"),
        (float("nan"), "nan is not a JSON number; use None"),
        (float("inf"), "inf is not a JSON number"),
        (10**4001, "more than 4,000 digits"),
        (-(10**MOST_DIGITS), "more than 4,000 digits"),
        ("\ud800", "lone surrogate"),
        ({1: 2}, "the key 1 is not a text; JSON keys are texts, write '1'"),
        ({None: 2}, "the key None is not a text"),
        ({"\udfff": 2}, "lone surrogate"),
    ],
)
def test_a_refusal_says_what_to_write_instead(value, fix):
    with pytest.raises(NotJSON) as caught:
        check_json({"rows": [value]})

    assert "payload.rows[0]" in str(caught.value)
    assert fix in str(caught.value)


def test_a_refusal_is_a_type_error_and_an_invalid_job():
    with pytest.raises(TypeError):
        check_json({1})
    with pytest.raises(InvalidJob):
        check_json({1})


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_limited():
    check_json(nested(DEEPEST))

    with pytest.raises(NotJSON, match="nested more than 100 levels"):
        check_json(nested(DEEPEST + 1))


def test_a_list_inside_itself_is_refused():
    loop = []
    loop.append({"again": loop})

    with pytest.raises(NotJSON, match="inside itself"):
        check_json(loop)
