"""The progress bar is there on a terminal, and only there."""

import os
import select
import subprocess
import sys
import time

import pytest

from tests.cli.helpers import COMMAND, clean_environment, lightwork

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")


def on_terminal(*arguments, cwd, stdout=None, **environment):
    """Run the command with stderr (and stdout unless given) on a terminal; what it showed there, and its status."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    given = [*COMMAND, *map(str, arguments)]
    env = clean_environment(**({"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | environment))
    with subprocess.Popen(given, cwd=cwd, stdin=theirs, stdout=stdout or theirs, stderr=theirs, env=env) as command:
        os.close(theirs)
        shown = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
            try:
                data = os.read(ours, 4096)
            except OSError:  # the terminal's last user has left
                break
            shown += data
            if not data:
                break
        os.close(ours)
    return shown.decode(), command.returncode


SLEEPS = ["-a", "0.6 one", "-a", "0 two", "-a", "0 three"]


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import sys, time\ntime.sleep(float(sys.argv[1]))\nprint(sys.argv[2])\n")
    return path


def test_a_bar_on_a_terminal(program, tmp_path):
    shown, status = on_terminal("run", *SLEEPS, program, cwd=tmp_path)
    assert status == 0
    assert "of 3" in shown
    assert "█" in shown or "░" in shown
    assert screen(shown) == ["one", "two", "three"]


def screen(shown):
    """The lines that stay on the screen, if a carriage return goes back to the line's first column."""
    lines = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        cells: dict[int, str] = {}
        for part in line.split("\r"):
            cells.update(enumerate(part))
        lines.append("".join(cells[column] for column in sorted(cells)).rstrip())
    return [line for line in lines if line]


def test_half_a_line_is_not_drawn_over(tmp_path):
    shown, status = on_terminal("run", "-a", "0.6 a", "-a", "0.3 b", "-a", "0 c", "sh", "-c", PRINT, "sh", cwd=tmp_path)
    assert status == 0
    assert screen(shown) == ["abc"]


PRINT = 'sleep $1; printf "%s" $2'


def test_data_in_a_pipe_stays_clean(program, tmp_path):
    with open(tmp_path / "out", "wb") as out:
        shown, status = on_terminal("run", *SLEEPS, program, cwd=tmp_path, stdout=out)
    assert status == 0
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\n"
    assert "of 3" in shown


@pytest.mark.parametrize("quiet", [["--quiet"], []])
def test_no_bar(quiet, program, tmp_path):
    environment = {} if quiet else {"TERM": "dumb"}
    shown, status = on_terminal("run", *quiet, *SLEEPS, program, cwd=tmp_path, **environment)
    assert (status, shown) == (0, "one\r\ntwo\r\nthree\r\n")
    assert lightwork("run", *SLEEPS, program, cwd=tmp_path).stderr == b""


def test_colour_only_repeats_the_word(tmp_path):
    shown, status = on_terminal("run", "-a", "x", "false", cwd=tmp_path)
    assert status == 1
    assert "\x1b[1;31merror:\x1b[0m job 1 (x) failed" in shown
    shown, _ = on_terminal("run", "-a", "x", "false", cwd=tmp_path, NO_COLOR="1")
    assert "error: job 1 (x) failed" in shown
    assert "\x1b[" not in shown
