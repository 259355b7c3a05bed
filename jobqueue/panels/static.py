"""Pieces of what stays of a panel where nothing runs, see plain.py."""

from __future__ import annotations

from datetime import datetime

from jobqueue.model.status import Status
from jobqueue.panels import wording
from jobqueue.panels.glance import Glance
from jobqueue.panels.html import joined, text


def counts(glance: Glance) -> str:
    """The tiles, as a table."""
    numbers = {status.value: glance.counts[status] for status in Status} | {"total": glance.total}
    heads = joined(f"<th>{label}</th>" for _, label in wording.TILES)
    cells = joined(f"<td><b>{numbers[name]:,}</b></td>" for name, _ in wording.TILES)
    return f"<table><thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"


def taken(now: datetime, url: str) -> str:
    return f"<p><small>{text(url)} as it was on {now:%Y-%m-%d at %H:%M:%S} UTC; run the cell to see it live</small></p>"


def image(caption: str, address: str) -> str:
    """A picture of `analytics.pictures` as an image that needs nothing else."""
    return f'<p><img alt="{text(caption)}" src="{address}" style="max-width:100%"></p>'
