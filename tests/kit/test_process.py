"""Processes by number and start."""

import os
import signal
import subprocess
import sys
import time

import psutil

from lightwork.kit.process import lives, start_of

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_process_lives_until_it_is_dead_also_while_it_is_stopped():
    with subprocess.Popen(SLEEPS) as process:
        start = start_of(process.pid)
        assert lives(process.pid, start)
        process.send_signal(signal.SIGSTOP)
        assert lives(process.pid, start)
        process.kill()
        deadline = time.monotonic() + 20
        while lives(process.pid, start):  # a zombie now: nobody has waited for it
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert start_of(process.pid) == ""
    assert not lives(process.pid, start)


def test_a_number_alone_is_not_enough():
    assert lives(os.getpid(), start_of(os.getpid()))
    assert not lives(os.getpid(), "1-00000000")
    assert not lives(os.getpid(), "")
    assert start_of(os.getpid()) == start_of(os.getpid())


def test_other_systems_ask_psutil(monkeypatch):
    assert psutil.pid_exists(os.getpid())  # imported while the system is the one that it is
    monkeypatch.setattr(sys, "platform", "darwin")
    assert lives(os.getpid(), start_of(os.getpid()))
    assert start_of(2**30) == ""
