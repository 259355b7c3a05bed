"""What a message is without what differs: a table, and what holds for any text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.analytics import causes
from jobqueue.analytics.causes import SHOWN, cause_of, place_of

TABLE = [
    ("", ""),
    ("boom", "boom"),
    ("no luck  at\n all", "no luck at all"),
    ("row 7", "row <n>"),
    ("-3.5e-7 is below 1,000", "<n> is below <n>,<n>"),
    ("took 12ms, 3.5 s", "took <n>ms, <n> s"),
    ("status=429 after 3 tries.", "status=<n> after <n> tries."),
    ("(17) [18] {19}", "(<n>) [<n>] {<n>}"),
    ("50% of v2", "<n>% of v<n>"),
    ("row 17 of '/data/a b.csv'", "row <n> of '…'"),
    ('cannot read "x y" or `z`', "cannot read '…' or '…'"),
    ("can't open 'x', won't open 'y'", "can't open '…', won't open '…'"),
    ("„so“ “quoted” ‘value’ «là»", "'…' '…' '…' '…'"),
    ("'NoneType' object has no attribute 'foo'", "'…' object has no attribute '…'"),
    ("KeyError: ''", "KeyError: '…'"),
    ("the users' 3 files' names", "the users' <n> files' names"),
    ("an unclosed 'quote 12", "an unclosed 'quote <n>"),
    ("No such file: /var/lib/x/y.txt", "No such file: <path>"),
    ("C:\\Users\\ann\\a.csv is locked", "C:<path> is locked"),
    ("./a/b.py and octo/cat", "<path> and <path>"),
    ("3 / 4", "<n> / <n>"),
    ("GET https://example.org/a?b=7&c=x failed", "GET <url> failed"),
    ("postgres://u:p@host:5432/db: refused", "<url> refused"),
    ("job 550e8400-e29b-41d4-a716-446655440000 is gone", "job <id> is gone"),
    ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit <id>"),
    ("object at 0x7f3a9c2b1e40>", "object at <id>>"),
    ("10-20261126T000200957242-17384fdc died", "<id> died"),
    ("worker-21698-1795651320960-96a6 died while it ran this attempt", "<id> died while it ran this attempt"),
    ("at 2026-01-02T03:04:05.678901Z", "at <time>"),
    ("at 2026-01-02 03:04:05,678 on 2026-01-03", "at <time> on <time>"),
    ("at 03:04:05 or 23:59", "at <time> or <time>"),
    ("127.0.0.1:8080 refused", "<n>:<n> refused"),
    ("deadbeef is a word without a digit", "deadbeef is a word without a digit"),
    ("größe ５ und ٣", "größe <n> und <n>"),
]


@pytest.mark.parametrize(("message", "cause"), TABLE)
def test_the_table(message: str, cause: str) -> None:
    assert cause_of(message) == cause


@settings(max_examples=500)
@given(st.text() | st.text("'\"`0aF/-.: <>=x“”2T", max_size=60))
def test_no_number_is_left_of_any_text(message: str) -> None:
    found = cause_of(message)
    assert len(found) <= SHOWN
    assert re.search(r"\d", found) is None
    assert cause_of(f"  {message}\n") == found


VALUES = st.tuples(
    st.integers(), st.uuids(), st.datetimes(), st.text("abc/ xyz"), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(max_examples=200)
@given(VALUES, VALUES)
def test_messages_that_differ_in_values_are_alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    first, second = (
        f"row {n} of job {id} at {when.isoformat()}Z is {text!r}, more than {number}"
        for n, id, when, text, number in (one, other)
    )
    assert cause_of(first) == cause_of(second) == "row <n> of job <id> at <time> is '…', more than <n>"


PIECES = (
    *("'", "'a ", " 'a", '"', "`", "“", "„", "«", "a", ".", "-", "/", "\\", "0", "a0", "0x", "1.", "1e"),
    *("12:", "2026-", "http://", "a+", "a:", " ", "_1", "é", "-.", "+1"),
)


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_longer_than_its_length(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a million characters: one pass takes a second at most, a pass for each of them would take days."""
    monkeypatch.setattr(causes, "LONGEST", 500_000)
    assert len(cause_of(piece * (500_000 // len(piece)))) <= SHOWN


def test_a_message_is_looked_at_up_to_its_ten_thousandth_character() -> None:
    assert cause_of("x" * 10_000 + "7") == cause_of("x" * 10_000 + "y")
    assert cause_of("x" * 9_999 + "7") == "<id>"


TRACE = """Traceback (most recent call last):
  File "/home/ann/project/handlers.py", line 12, in scan
    parse(repo)
  File "/home/ann/project/parsing/parse.py", line 40, in parse
    return json.loads(text)
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
  File "/home/ann/.venv/lib/python3.11/site-packages/requests/models.py", line 3, in get
    raise ValueError
ValueError: no
"""


@pytest.mark.parametrize(
    ("traceback", "place"),
    [
        (TRACE, "parsing/parse.py:40 in parse"),
        ("no frames", None),
        ("", None),
        ('  File "/usr/lib/python3.11/json/a.py", line 3, in loads\n', "json/a.py:3 in loads"),
        ('  File "C:\\work\\scan.py", line 3, in <module>\n', "work/scan.py:3 in <module>"),
        ('  File "scan.py", line 3, in scan\n', "scan.py:3 in scan"),
        ('  File "<frozen importlib>", line 3, in f\n', "<frozen importlib>:3 in f"),
        ('  File "/a/jobqueue/worker/run.py", line 3, in f\n  File "/a/h.py", line 4, in g\n', "a/h.py:4 in g"),
    ],
)
def test_the_place_is_the_innermost_frame_of_the_users_own_code(traceback: str, place: str | None) -> None:
    assert place_of(traceback) == place
