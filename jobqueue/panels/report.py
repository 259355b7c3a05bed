"""`queue.snapshot`: the dashboard as one page that needs nothing else, no kernel, no script and no net."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from uuid import uuid4

from jobqueue.model.status import Status
from jobqueue.panels import groups, measures, sections, staff
from jobqueue.panels.glance import Glance, Glancing
from jobqueue.panels.groups import Grouped
from jobqueue.panels.html import joined, tag, text
from jobqueue.panels.panel import Told
from jobqueue.panels.plain import BUTTON, NAME
from jobqueue.queue.private import open_private
from jobqueue.queue.queue import Queue

NOTHING = Told()
ORDER = (Status.CLAIMED, Status.PENDING, Status.DONE, Status.FAILED)
DARK = re.compile(r'\[data-jp-theme-light="false"\] \.jq-view \{[^}]*\}')
PAGE = """
:root { color-scheme: light dark; --jp-layout-color1: #fff; --jp-layout-color2: #f3f4f6; --jp-border-color2: #dfe2e7; }
body { margin: 0 auto; padding: 24px; max-width: 1200px; background: var(--jp-layout-color1); }
h1 { position: absolute; clip-path: inset(50%); }
.jq-rows { max-height: none; }
[data-part=metrics] > details > summary { padding: 6px 2px; cursor: pointer; font-weight: 600; }
"""
NIGHT = """:root { --jp-ui-font-color1: #e6e8eb; --jp-ui-font-color2: #a4abb6; --jp-layout-color1: #14171c;
--jp-layout-color2: #1d2128; --jp-border-color2: #323843; }"""


def snapshot(queue: Queue, path: str | os.PathLike[str], overwrite: bool) -> Path:
    """The body of `Queue.snapshot`. The file is for its owner alone; `FileExistsError` where it is there already."""
    target = Path(path)
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(f"{target}: it is there already; take another name, or overwrite=True")
    content = page(queue).encode("utf-8", "backslashreplace")
    beside = target.with_name(f".{uuid4().hex[:12]}.tmp") if overwrite else target
    try:
        with open_private(beside) as file:
            file.write(content)
        if overwrite:
            os.replace(beside, target)
    except BaseException:
        if overwrite:
            with suppress(OSError):
                os.unlink(beside)
        raise
    return target


def page(queue: Queue) -> str:
    began = perf_counter()
    looking = Glancing(queue)
    try:
        glance = looking.look()
    finally:
        looking.close()
    parts = body(queue, glance)
    took = f"Taken on {glance.now:%Y-%m-%d at %H:%M:%S} UTC, in {perf_counter() - began:.1f} s; ages are as of then."
    parts.insert(1, part("banners", tag("p", took, class_="jq-dim")))
    title = text(f"Queue {glance.url}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style()}</style></head>'
        f'<body class="jq-panel jq-dashboard"><main class="jq-view"><h1>{title}</h1>{joined(parts)}</main></body></html>\n'
    )


def body(queue: Queue, glance: Glance) -> list[str]:
    causes = Grouped(queue).look(glance.counts[Status.FAILED])
    ranges = [measures.figures(queue, range, glance.counts[Status.PENDING]) for range in measures.RANGES]
    found = [
        part("head", sections.head(glance, True)),
        part("banners", sections.banners(glance, NOTHING, True)),
        part("tiles", sections.tiles(glance)),
        *(part(status.value, sections.section(status, glance, NOTHING, True)) for status in ORDER),
        part("groups", groups.shown(causes, NOTHING, True) if causes.causes else ""),
        *(part("metrics", folded(one, number > 0)) for number, one in enumerate(ranges)),
        part("groups", schedules(queue)),
        part("workers", staff.shown(staff.look(queue), NOTHING, True)),
    ]
    return [one for one in found if one]


def part(name: str, inside: str) -> str:
    """Without what needs a kernel: buttons that would do nothing."""
    unpressed = BUTTON.sub("", NAME.sub(r"<b>\1</b>", inside))
    return f'<div data-part="{name}">{unpressed}</div>' if inside else ""


def folded(one: measures.Figures, fold: bool) -> str:
    """The last day is seen at once, the others at a click."""
    title = f"Metrics, {named(one.range)}"
    shown = measures.shown(one, title)
    return f"<details><summary>{title}</summary>{shown}</details>" if fold and shown else shown


def named(range: str) -> str:
    return "all time" if range == "all" else f"last {range}"


def schedules(queue: Queue) -> str:
    rows = joined(f'<li class="jq-row"><div class="jq-what">{text(repr(one)[1:-1])}</div></li>' for one in queue.schedules())
    head = "<header><h3>Schedules</h3></header>"
    return f'<section class="jq-section" aria-label="Schedules">{head}<ul class="jq-rows">{rows}</ul></section>' if rows else ""


def style() -> str:
    """The panels' own sheet; the colours for dark pages are those of the page's reader."""
    sheet = files("jobqueue.panels").joinpath("style.css").read_text("utf-8")
    night = joined(rule.replace('[data-jp-theme-light="false"] ', "") for rule in DARK.findall(sheet))
    return f"{sheet}{PAGE}@media (prefers-color-scheme: dark) {{ {NIGHT} {night} }}"
