"""Talk and the bar, without a terminal; with one they are tested in test_run_terminal.py."""

import io
import sys

import pytest

from lightwork.cli import output


@pytest.mark.parametrize(
    ("done", "total", "line"),
    [
        (0, 10, "  0% .................... 0 of 10"),
        (5, 10, " 50% ##########.......... 5 of 10"),
        (10, 10, "100% #################### 10 of 10"),
        (0, 0, "100% #################### 0 of 0"),
        (1234, None, "1,234 done"),
    ],
)
def test_bar(done, total, line):
    assert output.render(done, total, "", len(line) + 3).rstrip() == line.rstrip()


@pytest.mark.parametrize("width", [0, 5, 20, 200])
def test_a_bar_never_breaks_the_line(width):
    for total in (None, 1, 10**9):
        assert len(output.render(1, total, ", 1 failed", width)) <= width


def test_no_terminal_no_bar(capfd):
    bar = output.Bar()
    bar.update(1, 2)
    bar.close()
    output.error("it broke", hint="mend it")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "error: it broke\nhint: mend it\n")


def test_bytes_are_written_as_they_are():
    bytes_below = io.BytesIO()
    stream = io.TextIOWrapper(bytes_below, encoding="ascii")
    output.write(stream, b"\xff\0\r\n")
    assert bytes_below.getvalue() == b"\xff\0\r\n"


def test_talk_begins_a_line(capfd):
    output.write(sys.stderr, b"no end")
    output.error("next")
    output.error("and next")
    assert capfd.readouterr().err == "no end\nerror: next\nerror: and next\n"
