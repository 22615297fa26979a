"""Columns of text for people: on a terminal no wider than it is, in a pipe in full length."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple, TextIO

from lightwork.cli import output
from lightwork.cli.report import printable

GAP = 2
NARROWEST = 8  # to which a column is cut


class Column(NamedTuple):
    """`right`: numbers; `cut`: its words may be; `give`: left out if there is no room, the highest first; 0: never."""

    head: str
    right: bool = False
    cut: bool = False
    give: int = 0


def width_of(stream: TextIO | None = None) -> int | None:
    """How many characters go into a line; None: as many as there are, it is no terminal."""
    stream = stream or sys.stdout
    return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None


def show(columns: Sequence[Column], rows: Sequence[Sequence[str]], none: str) -> None:
    """The table on standard output; without a row a word on standard error."""
    if rows:
        print(table(columns, rows, width_of()))
    else:
        output.say(none)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """A line for the heads and one for each row. Columns without a word in any row are left out."""
    shown = [index for index in range(len(columns)) if not rows or any(row[index] for row in rows)]
    cells = [[printable(cell) for cell in row] for row in rows]
    while True:
        kept = [columns[index] for index in shown]
        lines = [[one.head for one in kept], *([row[index] for index in shown] for row in cells)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        droppable = [index for index in shown if columns[index].give]
        if width is None or _narrowed(kept, widths, width) or not droppable:
            return "\n".join(_line(kept, widths, line)[:width] for line in lines)
        shown.remove(max(droppable, key=lambda index: columns[index].give))


def _narrowed(columns: Sequence[Column], widths: list[int], width: int) -> bool:
    """Take from the widest of those that may be cut; whether it fits then."""
    cuttable = [index for index, column in enumerate(columns) if column.cut]
    while (over := sum(widths) + GAP * (len(widths) - 1) - width) > 0 and cuttable:
        widest = max(cuttable, key=widths.__getitem__)
        least = max(NARROWEST, len(columns[widest].head))
        if widths[widest] <= least:
            cuttable.remove(widest)
        else:
            widths[widest] -= 1
    return over <= 0


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    parts = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        text = cell if len(cell) <= width else cell[: width - 3] + "..."
        parts.append(text.rjust(width) if column.right else text.ljust(width))
    return (" " * GAP).join(parts).rstrip()
