"""Tables: fitted to a terminal, one full line for each row into a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

from jobqueue.cli.printing import clip

WIDE = 1000
NARROWEST = 6
GAP = 2


class Column(NamedTuple):
    """A heading, and the most characters its cells may have; `whole` cells are never cut to fit the terminal."""

    title: str
    most: int = 40
    whole: bool = False
    right: bool = False


class Cell(NamedTuple):
    """A text with a color."""

    text: str
    color: str = ""


Row = Sequence[str | Cell]


def draw(columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """Prints a table. Each line is made by hand: a table object takes minutes for 100,000 rows."""
    from rich.cells import cell_len

    cells = [[safe(cell, column) for cell, column in zip(row, columns, strict=True)] for row in rows]
    lines = [[Cell(column.title) for column in columns], *cells]
    natural = [max(cell_len(cell.text) for cell in column) for column in zip(*lines, strict=True)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    widths = fit(columns, natural, room)
    for line in lines:
        parts = [padded(cell, width, column.right) for cell, width, column in zip(line, widths, columns, strict=True)]
        click.echo((" " * GAP).join(parts).rstrip())


def padded(cell: Cell, width: int, right: bool) -> str:
    """A cell in exactly so many columns of the terminal; wide characters take two."""
    from rich.cells import cell_len, set_cell_size

    text, length = cell.text, cell_len(cell.text)
    if length > width:
        text, length = set_cell_size(text, width - 1) + "…", width
    space = " " * (width - length)
    text = click.style(text, fg=cell.color) if cell.color else text
    return space + text if right else text + space


def safe(cell: str | Cell, column: Column) -> Cell:
    text, color = cell if isinstance(cell, Cell) else (cell, "")
    return Cell(clip(text, column.most), color)


def fit(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """Widths that fit, taken from the widest columns that may be cut."""
    widths = list(natural)
    soft = [number for number, column in enumerate(columns) if not column.whole]
    spare = room - GAP * (len(widths) - 1)
    while sum(widths) > spare and soft:
        widest = max(soft, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths
