"""The table of all jobs: of a hundred thousand, the page has the rows in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import msgspec
import traitlets

from jobqueue.model.status import Status
from jobqueue.model.times import short
from jobqueue.panels.html import joined, tag, text
from jobqueue.panels.listing import Listing
from jobqueue.panels.panel import Told
from jobqueue.panels.rows import FACETS, Row
from jobqueue.panels.sections import two_step
from jobqueue.panels.view_widget import packed, text_of

SHOWN = ("made", "status", "name", "type", "project", "attempts", "run", "finished", "error")
AT_FIRST, AT_MOST = 30, 100
LONGEST = 160
"""Characters of a cell."""
WORDS = {"": "any status", "pending": "pending", "claimed": "active", "done": "done", "failed": "failed"}


class JobTable(anywidget.AnyWidget):
    """`page` is all that is drawn: rows, where they stand, how many there are, the order, and which of them are chosen.
    `packed` is what crosses the wire of it."""

    _esm = text_of("table.js")
    page: traitlets.Dict[str, Any] = traitlets.Dict()
    packed = traitlets.Bytes(b"").tag(sync=True)

    @traitlets.observe("page")
    def pack(self, change: Any) -> None:
        self.packed = packed(msgspec.json.encode(self.page).decode())


class Rows:
    """What the widget asks for, and what it is given. `send` hands a command over to the panel."""

    def __init__(self, listing: Listing, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        self.listing = listing
        self.start, self.count = 0, AT_FIRST
        self.projects = False
        """Whether any was seen: the column comes with the first, and does not go while somebody scrolls."""
        self.widget = JobTable()
        self.widget.on_msg(lambda _, content, buffers: on_event(content))

    def scroll(self, start: Any, count: Any) -> None:
        self.start = max(0, int(start))
        self.count = min(AT_MOST, max(1, int(count)))

    def draw(self, rows: Sequence[Row]) -> None:
        listing = self.listing
        self.projects = self.projects or any(row.project for row in rows) or bool(listing.known.values("project"))
        page = {
            "start": self.start if self.start < len(listing.ids) else 0,
            "rows": [in_the_page(row) for row in rows],
            "total": len(listing.ids),
            "columns": [name for name in SHOWN if name != "project" or self.projects],
            "sort": listing.query.sort,
            "descending": listing.query.descending,
            "all": listing.all_chosen,
            "chosen": [row.id for row in rows if row.id in listing.chosen],
            "empty": nothing(listing),
        }
        if page != self.widget.page:
            self.widget.page = page


def nothing(listing: Listing) -> str:
    """Said where there are no rows."""
    if listing.share_read is not None:
        return "None so far: the jobs are being read."
    return "No job matches." if filtered(listing) else "No jobs yet."


def in_the_page(row: Row) -> dict[str, str | float]:
    """The id, by which the page names a job, is never cut."""
    told = {name: cut(value) for name, value in msgspec.structs.asdict(row).items()}
    return {**told, "id": row.id, "run": "" if row.run < 0 else short(row.run)}


def cut(value: str | float) -> str | float:
    """The page has room for less, and shows the whole of it in the drawer."""
    return f"{value[: LONGEST - 1]}…" if isinstance(value, str) and len(value) > LONGEST else value


def filtered(listing: Listing) -> bool:
    query = listing.query
    return bool(query.status or query.type or query.project or query.batch or query.text)


# -- what stands above it


def toolbar(listing: Listing, total: int, told: Told, read_only: bool) -> str:
    query = listing.query
    search = tag(
        "input",
        "",
        type="search",
        placeholder="Find in names, ids, errors …",
        aria_label="Find",
        data_do="find",
        data_live=True,
    )
    picks = pick("status", [(status.value, len(listing.census.ids[status])) for status in Status], query.status, WORDS)
    share = listing.share_read
    if not listing.known.whole and share is None:
        words = {"type": "button", "class_": "jq-button", "data_do": "facets", "title": "Reads every job once"}
        picks += tag("button", "by type, project, batch …", **words)
    for column in FACETS:
        known = listing.known.values(column)
        if known or getattr(query, column):
            picks += pick(column, known, getattr(query, column), {"": f"any {column}"})
    count = f"{len(listing.ids):,} of {total:,} jobs" if filtered(listing) else f"{total:,} jobs"
    badge = tag("span", text(count), class_="jq-badge")
    if share is not None:
        badge += tag("span", text(f"reading every job once: {share:.0%}"), class_="jq-dim", role="status")
    head = f"<header><h3>All jobs {badge}</h3>{chosen(listing, told, read_only)}</header>"
    inputs = f'<div class="jq-filters">{search}{picks}</div>'
    return f'<section class="jq-section jq-tools" aria-label="All jobs">{head}{inputs}</section>'


def pick(name: str, values: Sequence[tuple[str, int]], now: str, words: Mapping[str, str]) -> str:
    some = list(values)
    if now and now not in dict(some):
        some.append((now, 0))
    options = [("", words.get("", ""))] + [(value, f"{words.get(value, value)} ({count:,})") for value, count in some]
    inside = joined(tag("option", text(label), value=value, selected=value == now) for value, label in options)
    return tag("select", inside, aria_label=name, data_do="filter", data_what=name)


def chosen(listing: Listing, told: Told, read_only: bool) -> str:
    count = listing.chosen_count
    if read_only or not count:
        return ""
    verbs = (("Retry", "retry-chosen", "warn"), ("Cancel", "cancel-chosen", "danger"), ("Purge", "purge-chosen", "quiet"))
    buttons = joined(two_step(f"{word} {count:,}", do, look, told) for word, do, look in verbs)
    return f'<span class="jq-gap"></span><span class="jq-dim">{count:,} chosen</span>{buttons}'
