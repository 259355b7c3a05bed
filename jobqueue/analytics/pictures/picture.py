"""A picture of the numbers: seen in a notebook, kept in a saved one, written to a file. Without scripts, without the net."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd

from jobqueue.analytics.pictures.chart import GREY, Chart
from jobqueue.analytics.pictures.svg import escape
from jobqueue.queue.private import open_private

WIDTH, MOST_BYTES = 700, 20_000


def small(make: Callable[[int], Picture], most: int) -> Picture:
    """The picture with at most so many points, or with so many fewer that it is small enough."""
    picture = make(most)
    while not picture.fits and most > 1:
        most //= 2
        picture = make(most)
    return picture


@dataclass(frozen=True)
class Picture:
    """`caption` sums it up in a sentence, `frame` has the numbers behind it.

    `svg` takes the colour of the page that it stands in; `save` and `image` are drawn in tones for any page. `draw(350)` is
    the same picture for a narrow place.
    """

    title: str
    caption: str
    frame: pd.DataFrame = field(repr=False)
    chart: Chart = field(repr=False)

    @cached_property
    def svg(self) -> str:
        return self.chart.draw(WIDTH)

    @cached_property
    def image(self) -> str:
        """The picture as the address of an `<img>`, for pages that take no SVG of strangers."""
        return address(self.chart.draw(WIDTH, replace(GREY, tips=False)))

    def draw(self, width: int = WIDTH) -> str:
        """SVG text of another width; texts keep their size."""
        return self.chart.draw(width)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, width: int = WIDTH) -> Path:
        """Writes an SVG file that only its owner may read; over one that is there only if told to."""
        target = Path(path)
        if target.suffix.lower() != ".svg":
            raise ValueError(f"{target}: pictures are saved as SVG; name the file {target.with_suffix('.svg').name}")
        text = self.chart.draw(width, GREY).encode() + b"\n"
        return write(target, text, overwrite)

    @property
    def fits(self) -> bool:
        """Whether it is small enough to be sent twice a second."""
        return len(self.svg.encode()) <= MOST_BYTES

    def __str__(self) -> str:
        return self.caption

    def _repr_html_(self) -> str:
        return self.figure(f'<div style="overflow-x:auto">{self.svg}</div>')

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook keeps. Where it is not trusted, JupyterLab takes out SVG and `<object>`, and leaves what is inside of
        them: of an SVG in the page that would be all its words in one heap, here it is the image."""
        still = f'<img alt="{escape(self.caption)}" src="{self.image}" style="max-width:100%">'
        live = self.chart.draw(WIDTH, GREY)
        page = self.figure(f'<object type="image/svg+xml" data="{address(live)}" style="max-width:100%">{still}</object>')
        return {"text/html": page, "image/svg+xml": live, "text/plain": str(self)}

    def figure(self, content: str) -> str:
        caption = f'<figcaption style="font-size:12px;padding:4px 0">{escape(self.caption)}</figcaption>'
        return f'<figure class="jq-picture" style="margin:0">{content}{caption}</figure>'


def address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def write(target: Path, text: bytes, overwrite: bool) -> Path:
    beside = target.with_name(f".{uuid4().hex[:12]}.tmp") if overwrite else target
    try:
        file = open_private(beside)
    except FileExistsError:
        raise FileExistsError(17, "it is there already; choose another name, or overwrite=True", str(target)) from None
    try:
        with file:
            file.write(text)
        if overwrite:
            os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target
