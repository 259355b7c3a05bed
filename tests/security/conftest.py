"""Values that strangers may write, and a queue that is full of one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HOSTILE = {
    "line-end": "x\nFORGED: all is well",
    "carriage-return": "x\rFORGED: all is well",
    "screen": "\x1b[2J\x1b[1;1HFORGED",
    "title": "\x1b]0;FORGED\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "8-bit": "\x9b31m\x9d0;FORGED\x9c",
    "direction": "abc\u202egnp.exe\u2066x\u200f",
    "line-separator": "x\u2028FORGED\u2029FORGED",
    "unseen": "pay\u200bpal\u2060\ufeff\U000e0041\u00ad",
    "markup": "[red]x[/red][link=http://evil.example]y[/link]",
    "format": "%s %n {0} {payload.__class__} {{}} %(asctime)s",
    "shell": "$(touch FORGED); `touch FORGED` & ' \" \\ *",
    "path": "x/../..\\..\\etc/passwd",
    "html": "<script>alert(1)</script>",
}


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> str:
    return HOSTILE[request.param]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside; the current folder is empty."""
    for name in [name for name in os.environ if name.startswith("JOBQUEUE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
