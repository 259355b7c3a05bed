"""Small pieces of HTML, each escaped: what a job says of itself is strangers' text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from html import escape
from typing import Any

from jobqueue.inert import inert, inert_lines
from jobqueue.panels.wording import age

GAP = '<span class="jq-gap"></span>'


def text(value: object) -> str:
    """One line of plain text."""
    return escape(inert(str(value)))


def block(value: str) -> str:
    """Lines of plain text, for `<pre>`."""
    return escape(inert_lines(value))


def attributes(**values: object) -> str:
    """` class="x" data-id="y"`; underscores are hyphens, None and False leave one out, True gives it no value."""
    return "".join([attribute(name, value) for name, value in values.items()])


@lru_cache(4096, typed=True)
def attribute(name: str, value: object) -> str:
    """Nearly all of them are said again and again."""
    word = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {word}"
    return "" if value is None or value is False else f' {word}="{escape(inert(str(value)))}"'


def tag(name: str, inside: str = "", **values: object) -> str:
    return f"<{name}{attributes(**values)}>{inside}</{name}>"


def button(label: str, do: str, *, look: str = "", armed: bool = False, title: str | None = None, **data: str) -> str:
    """A real button; what it does stands in `data-do`, to what in `data-id`. `look`: danger, warn, quiet or link."""
    classes = " ".join(filter(None, ["jq-button", f"jq-{look}" if look else "", "jq-armed" if armed else ""]))
    words = {f"data_{name}": value for name, value in data.items()}
    return tag("button", text(label), type="button", class_=classes, title=title, data_do=do, **words)


def tick(label: str, do: str, on: bool, *, title: str | None = None) -> str:
    """A box to tick, with its label; the panel is told what it was changed to."""
    box = f"<input{attributes(type='checkbox', data_do=do, checked=on)}>"
    return tag("label", f"{box} {text(label)}", class_="jq-box", title=title)


def chip(word: str, look: str, *, pulse: bool = False, title: str | None = None) -> str:
    """A word in a colour: `look` is pending, claimed, done, failed or plain."""
    return tag("span", text(word), class_=f"jq-chip jq-{look}{' jq-pulse' if pulse else ''}", title=title)


def since(moment: datetime | None, now: datetime, before: str = "") -> str:
    """`Started 12s ago`; the page counts on by itself. A time that is missing shows nothing."""
    if moment is None:
        return ""
    counted = tag(
        "time",
        age((now - moment).total_seconds()),
        data_at=f"{moment.timestamp():.0f}",
        title=f"{moment:%Y-%m-%d %H:%M:%S} UTC",
    )
    return f'<span class="jq-age">{text(before)} {counted}</span>' if before else f'<span class="jq-age">{counted}</span>'


def bar(fraction: float | None, label: str) -> str:
    """A progress bar with its text; a handler that does not say how far it is gets one that only moves."""
    if fraction is None:
        return f'<div class="jq-bar jq-unknown" role="progressbar" aria-label="{text(label)}"><i></i></div>'
    percent = max(0.0, min(1.0, fraction)) * 100
    inner = f'<i style="width:{percent:.1f}%"></i>'
    words = f'role="progressbar" aria-valuenow="{percent:.0f}" aria-valuemin="0" aria-valuemax="100" aria-label="{text(label)}"'
    return f'<div class="jq-bar" {words}>{inner}</div>'


def details(summary: str, inside: str, key: str) -> str:
    """Folded away until somebody opens it; both texts are HTML."""
    return f"<details{attributes(data_key=key)}><summary>{summary}</summary>{inside}</details>"


def pretty(value: Any) -> str:
    """JSON as people read it."""
    return block(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def joined(parts: Iterable[str]) -> str:
    return "".join(parts)
