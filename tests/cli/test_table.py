"""Columns fit into a terminal: words are cut, then columns left out, and what matters stays."""

from __future__ import annotations

from hypothesis import given, strategies as st

from lightwork.cli.table import Column, table

COLUMNS = (Column("Job"), Column("Size", right=True, give=1), Column("Note", cut=True, give=2))
ROWS = [("s/1", "5", "a long story about nothing"), ("s/22", "1,000", "short")]


def test_in_full() -> None:
    assert table(COLUMNS, ROWS).splitlines() == [
        "Job    Size  Note",
        "s/1       5  a long story about nothing",
        "s/22  1,000  short",
    ]


def test_words_are_cut_before_columns_go() -> None:
    assert table(COLUMNS, ROWS, 25).splitlines()[1] == "s/1       5  a long st..."
    assert table(COLUMNS, ROWS, 20).splitlines() == ["Job    Size", "s/1       5", "s/22  1,000"]
    assert table(COLUMNS, ROWS, 8).splitlines() == ["Job", "s/1", "s/22"]
    assert table(COLUMNS, ROWS, 2).splitlines() == ["Jo", "s/", "s/"]


def test_columns_without_a_word_are_left_out() -> None:
    assert table(COLUMNS, [("s/1", "", "x")]).splitlines() == ["Job  Note", "s/1  x"]
    assert table(COLUMNS, []) == "Job  Size  Note"


def test_what_a_peer_called_itself_does_not_steer_the_terminal() -> None:
    assert table((Column("Name"),), [("a\x1b[31mb\n",)]).splitlines() == ["Name", r"a\x1b[31mb\n"]


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))), st.integers(1, 80))
def test_never_too_wide(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = table(COLUMNS, rows, width).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(len(line) <= width for line in lines)
