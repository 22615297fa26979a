"""How `lightwork run` ends before its time: Ctrl-C, a closed pipe; and that nothing is left of its jobs."""

import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

from tests.cli.helpers import clean_environment, gone, lightwork, marked, start, wait_for

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def mark():
    """A word in the environment of the command and of all that it starts."""
    return uuid.uuid4().hex


def test_nothing_is_left_after_a_good_run(mark, tmp_path):
    assert lightwork("run", "-a", "x", "echo", cwd=tmp_path, RUN_TEST_MARK=mark).returncode == 0
    assert gone(mark, 5) == []


@posix
def test_ctrl_c_ends_the_jobs(mark, tmp_path):
    environment = clean_environment(RUN_TEST_MARK=mark)
    given = ["run", "-j", 2, "-a", "0", "-a", "600", "-a", "600", "-a", "600", "sleep"]
    command = start(*given, cwd=tmp_path, env=environment, start_new_session=True)
    wait_for(lambda: len([pid for pid in marked(mark) if is_sleep(pid)]) == 2)
    sent = time.monotonic()
    os.killpg(command.pid, signal.SIGINT)
    _, err = command.communicate(timeout=20)
    assert command.returncode == 130
    assert time.monotonic() - sent < 3 * 5
    assert err.decode() == "error: interrupted\n"
    assert gone(mark, 5) == []


def is_sleep(pid):
    import psutil

    try:
        return psutil.Process(pid).cmdline()[:1] and psutil.Process(pid).cmdline()[-1] == "600"
    except psutil.Error:
        return False


@posix
def test_ctrl_c_while_the_list_is_not_there_yet(mark, tmp_path):
    environment = clean_environment(RUN_TEST_MARK=mark)
    command = start("run", "--args-from", "-", "echo", cwd=tmp_path, env=environment)
    command.stdin.write(b"first\n")
    command.stdin.flush()
    assert command.stdout.readline() == b"first\n"  # shown although the next line has not come
    command.send_signal(signal.SIGINT)
    assert command.wait(15) == 130
    assert command.stderr.read() == b"error: interrupted\n"
    command.stdin.close()
    command.stdout.close()
    command.stderr.close()
    assert gone(mark, 5) == []


@posix
def test_head_ends_it_quietly(mark, tmp_path):
    environment = clean_environment(RUN_TEST_MARK=mark)
    line = f"yes | {sys.executable} -m lightwork run --args-from - echo | head -n 3"
    result = subprocess.run(
        line, shell=True, cwd=tmp_path, env=environment, capture_output=True, timeout=30, check=False
    )
    assert result.stdout == b"y\n" * 3
    assert result.stderr == b""
    assert gone(mark, 5) == []


@posix
def test_killed_outright_nothing_is_left(mark, tmp_path):
    environment = clean_environment(RUN_TEST_MARK=mark)
    command = start("run", "-j", 2, "-a", "600", "-a", "600", "sleep", cwd=tmp_path, env=environment)
    wait_for(lambda: len([pid for pid in marked(mark) if is_sleep(pid)]) == 2)
    command.kill()
    command.communicate(timeout=10)
    assert gone(mark, 3 * 5) == []
