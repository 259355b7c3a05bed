"""What is safe to print, how tables fit, and when bars are drawn."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from jobqueue.cli import progress, tables
from jobqueue.cli.printing import age, clip, echo_json, one_line, plain, plural, printable, printable_lines
from jobqueue.cli.tables import Cell, Column, draw, fit
from jobqueue.model.status import Status

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 日本 👩‍🚀", "größe 日本 👩‍🚀"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31m\x00\x7f\x9b", "\\x1b[31m\\x00\\x7f\\x9b"),
        ("\u202e\u2066\u2028\ufeff", "\\u202e\\u2066\\u2028\\ufeff"),
        ("caf\udce9 \ud800", "caf\\xe9 \\ud800"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


def test_lines() -> None:
    assert printable_lines("a\n\tb\x1b\n\n", "  ") == "  a\n      b\\x1b"
    assert one_line(" a\nb\x1b ") == "a b\\x1b"
    assert (clip("abcdef", 6), clip("abcdef", 5), clip("a\x1bcdef", 5)) == ("abcdef", "abcd…", "a\\x1…")
    assert (plural(1), plural(0), plural(1200, "slot")) == ("1 job", "0 jobs", "1,200 slots")


def test_ages() -> None:
    assert age(NOW - timedelta(hours=3), NOW) == "3 hours ago"
    assert age(NOW + timedelta(minutes=5), NOW) == "in 5 minutes"


def test_json_is_utf_8_and_safe(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    echo_json({"a": "ö\x1b\x9b\udce9", "t": NOW, "s": Status.DONE, "l": (1, None, 2.5), 3: True})
    lines = capsysbinary.readouterr().out.decode().split()
    assert '"ö\\u001b\\u009b\\udce9",' in lines
    assert '"2026-01-02T00:00:00.000000Z",' in lines
    assert plain({"x": {1}}) == {"x": [1]}


def test_tables_fit_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column("id", 300, whole=True), Column("n", right=True, whole=True), Column("note", 120))
    rows: list[Any] = [
        ("a" * 30, "1", Cell("word word " * 5 + "word word", "red")),
        ("b", "20", "日本" * 20),
        ("c", "3", "[red]\x1b"),
    ]
    draw(columns, rows)
    wide = capsys.readouterr().out.splitlines()
    assert wide[1].endswith("word word")
    assert wide[3] == "c" + " " * 29 + "   3  [red]\\x1b"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    draw(columns, rows)
    narrow = capsys.readouterr().out.splitlines()
    assert narrow[0].startswith("id")
    assert all("…" in line for line in narrow[1:3])
    assert "a" * 30 in narrow[1]
    monkeypatch.setenv("COLUMNS", "10")
    draw(columns, rows)
    assert "a" * 30 in capsys.readouterr().out


def test_widths() -> None:
    columns = (Column("a", whole=True), Column("b"), Column("c"))
    assert fit(columns, [10, 20, 30], 100) == [10, 20, 30]
    assert fit(columns, [10, 20, 30], 10 + 15 + 15 + 4) == [10, 15, 15]
    assert fit(columns, [10, 20, 30], 5) == [10, tables.NARROWEST, tables.NARROWEST]


def test_groups_without_a_terminal() -> None:
    assert [list(group) for group in progress.in_groups([1, 2, 3], "x", 2)] == [[1, 2], [3]]
    assert list(progress.in_groups([], "x")) == []


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert [list(group) for group in progress.in_groups([1, 2, 3], "counting", 2)] == [[1, 2], [3]]
    assert "counting" in capsys.readouterr().err
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with progress.waiting("looking"):
        time.sleep(0.3)
    assert "looking" in capsys.readouterr().err
    monkeypatch.setattr(progress, "PATIENCE", 60)
    with progress.waiting("looking"):
        pass
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
