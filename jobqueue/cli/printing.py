"""What goes to the terminal. Names, payloads and errors are strangers' text: no control character of theirs gets through."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import click

from jobqueue.inert import UNSAFE, inert

AT_ONCE = 1 << 16
COLORS = {"pending": "yellow", "claimed": "blue", "done": "green", "failed": "red"}
printable = inert
"""A name, a payload, an error: in one line that is safe to print."""


def printable_lines(text: str, indent: str = "") -> str:
    """Several lines that are safe to print."""
    return "\n".join(indent + printable(line) for line in text.expandtabs(4).rstrip("\n").split("\n"))


def one_line(text: str) -> str:
    return printable(" ".join(text.split("\n")).strip())


def clip(text: str, width: int) -> str:
    text = printable(text[: width + 1])
    return text if len(text) <= width else text[: width - 1] + "…"


def echo_json(document: Any) -> None:
    """One JSON document on stdout, in UTF-8 whatever the terminal speaks; what is not UTF-8 becomes `\\udcff`."""
    text = json.dumps(plain(document), ensure_ascii=False, indent=2)
    data = UNSAFE.sub(in_json, text).encode() + b"\n"
    for start in range(0, len(data), AT_ONCE):  # one write of all would not notice that the reader went away in the middle
        click.echo(data[start : start + AT_ONCE], nl=False)


def in_json(match: re.Match[str]) -> str:
    """As JSON spells it; the line ends of the document itself stay."""
    character = match[0]
    if character == "\n":
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def plain(value: Any) -> Any:
    """What JSON can hold: records with all their fields, times as ISO 8601 with a Z."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        from jobqueue.model.times import iso

        return iso(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__struct_fields__"):
        return {field: plain(getattr(value, field)) for field in value.__struct_fields__}
    return [plain(item) for item in value]


def age(moment: datetime, now: datetime) -> str:
    """`3 hours ago`, or `in 5 minutes` for a time to come."""
    import humanize

    delta = now - moment
    if delta < timedelta(0):
        return f"in {humanize.naturaldelta(-delta)}"
    return f"{humanize.naturaldelta(delta)} ago"


def colored(status: str, width: int = 0) -> str:
    return click.style(status.ljust(width), fg=COLORS[status])


def plural(count: int, noun: str = "job") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
