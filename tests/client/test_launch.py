"""Starting the private scheduler: what the child is given, what it must say, and how a failure reads."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lightwork.client import launch
from lightwork.client.launch import LaunchOptions
from lightwork.client.networking import Keywords, Network, network_of
from lightwork.config import paths
from lightwork.local.options import read
from lightwork.model.errors import StartFailed
from lightwork.security.secret import generate

CHILD = """
import json, os, sys, time
options = json.loads(sys.stdin.readline())
assert sys.stdin.read() == ""
{body}
"""
GOOD = """
print("unix:" + options["directory"] + "/sock", flush=True)
with open(options["directory"] + "/options.json", "w") as file:
    options["sid"] = os.getsid(0)
    options["pid"] = os.getpid()
    options["argv"] = sys.argv
    arenas = options["arena_args"], options["arena_results"]
    options["open"] = [fd for fd in arenas if isinstance(fd, int) and os.fstat(fd)]
    json.dump(options, file)
os.rename(options["directory"] + "/options.json", options["directory"] + "/ready.json")
time.sleep(60)
"""


@pytest.fixture
def child(monkeypatch, tmp_path):
    """child(body, **options) -> Private that runs `body` instead of the scheduler."""
    made = []

    def child(body, name="test", slots=None, network=None):
        script = tmp_path / "child.py"
        script.write_text(CHILD.format(body=body))
        monkeypatch.setattr(launch, "COMMAND", (str(script),))
        private = launch.Private(name, launch.new_session())
        made.append(private)
        private.tell(network or Network(slots=slots))
        return private

    yield child
    for private in made:
        private.discard()


def read_ready(private):
    path = private.directory / "ready.json"
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return json.loads(path.read_text())


def test_the_child_gets_its_options_and_says_its_address(child):
    private = child(GOOD, name="my name", slots=3)
    assert private.address() == f"unix:{private.directory}/sock"
    got = read_ready(private)
    assert (got["name"], got["slots"], got["parent"], got["session"]) == (
        "my name",
        3,
        os.getpid(),
        private.options.session,
    )
    assert (got["apart"], got["portable"], got["uvloop"]) == (False, sys.platform == "win32", None)
    assert got["size"] > 1 << 20
    assert len(got["argv"]) == 1, "nothing in its arguments that others could read"


@pytest.mark.skipif(sys.platform == "win32", reason="sessions and descriptors")
def test_the_child_is_detached_and_inherits_the_arenas_only(child):
    private = child(GOOD)
    private.address()
    got = read_ready(private)
    assert got["sid"] == got["pid"] != os.getsid(0)
    if sys.platform == "linux":
        assert len(got["open"]) == 2
    mode = private.directory.stat().st_mode
    assert stat.S_IMODE(mode) == 0o700
    assert len(str(private.directory)) < 90, "a socket must fit"


def test_the_environment_chooses_other_ways(child, monkeypatch):
    for name in ("PORTABLE", "APART", "NO_UVLOOP"):
        monkeypatch.setenv(f"LIGHTWORK_{name}", "1")
    private = child(GOOD)
    private.address()
    got = read_ready(private)
    assert (got["apart"], got["portable"], got["uvloop"]) == (True, True, False)
    assert isinstance(got["arena_args"], str)
    assert Path(got["arena_results"]).exists()
    private.discard()
    assert not private.directory.exists()


def test_what_it_is_told_of_the_network_reads_the_same_there(child):
    secret = generate()
    given = Keywords(nodes=["lab1"], listen="*:9700", secret=secret, pulse_interval=0.5, ping_interval=7)
    private = child(GOOD, network=network_of(given))
    private.address()
    got = read_ready(private)
    assert secret not in " ".join(psutil.Process(private.pid).cmdline())
    assert secret not in repr(private.options)
    told = {key: got[key] for key in LaunchOptions.__struct_fields__}
    options = read(told)
    assert (options.local, options.listen, options.pulse_s, options.ask_s) == (False, "*:9700", 0.5, 7.0)
    assert options.credential == private.options.credential
    assert options.credential.secrets == (secret,)
    assert not options.weak_secret
    assert secret not in repr(options)


def test_without_a_network_it_is_told_of_none(child):
    private = child(GOOD)
    private.address()
    got = read_ready(private)
    options = read({key: got[key] for key in LaunchOptions.__struct_fields__})
    assert (options.local, options.credential, options.weak_secret, options.listen) == (True, None, False, "")
    assert (options.pulse_s, options.ask_s) == (0.0, 0.0)


def test_a_child_that_dies_says_why(child):
    began = time.monotonic()
    private = child("raise RuntimeError('no such luck')")
    with pytest.raises(StartFailed) as caught:
        private.address()
    text = str(caught.value)
    assert "exit code 1" in text
    assert "RuntimeError: no such luck" in text
    assert "hint: " in text
    assert time.monotonic() - began < 5


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_child_that_is_killed_says_by_what(child):
    private = child("os.kill(os.getpid(), 9)")
    with pytest.raises(StartFailed, match="SIGKILL"):
        private.address()


def test_a_child_that_never_says_anything_is_given_up(child, monkeypatch):
    monkeypatch.setattr(launch, "START_S", 3.0)
    private = child("print('on my way', file=sys.stderr, flush=True); time.sleep(60)")
    with pytest.raises(StartFailed, match="not up within 3 s") as caught:
        private.address()
    assert "on my way" in str(caught.value)
    assert not psutil.pid_exists(private.pid) or psutil.Process(private.pid).status() == psutil.STATUS_ZOMBIE


def test_a_clean_end_leaves_nothing(child):
    private = child("print('unix:/x', flush=True); sys.stderr.write('noise')")
    private.address()
    private.end(clean=True)
    assert not private.directory.exists()


def test_a_bad_end_leaves_its_log(child):
    private = child("print('unix:/x', flush=True); sys.exit('its last words')")
    private.address()
    assert "its last words" in private.obituary()
    assert "exit code 1" in private.obituary()
    private.end(clean=False)
    assert private.log.read_text().strip() == "its last words"
    assert [path.name for path in private.directory.iterdir()] == ["scheduler.log"]


def test_a_child_that_will_not_go_is_killed(child, monkeypatch):
    monkeypatch.setattr(launch, "END_S", 0.2)
    private = child("print('unix:/x', flush=True); time.sleep(60)")
    private.address()
    private.end(clean=True)
    assert private._process.returncode is not None


def test_a_command_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(StartFailed):
        launch.Private("test", launch.new_session())


def dead_pid():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_killed_programs_left_is_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "runtime_directory", lambda: tmp_path)
    dead = dead_pid()
    months = 40 * 86400
    for name, file, age_s in (
        (f"{dead}-killed", "scheduler.sock", 0),
        (f"{dead}-empty", None, 0),
        (f"{dead}-log", "scheduler.log", 3 * 86400),  # of a bad end: somebody may want to read it
        (f"{dead}-oldlog", "scheduler.log", months),
        (f"{os.getpid()}-alive", "scheduler.sock", months),
        ("other", "scheduler.sock", months),
        ("17", "scheduler.sock", months),
    ):
        (tmp_path / name).mkdir()
        if file is not None:
            (tmp_path / name / file).write_text("x")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    made = launch.session_directory("19-abc")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([f"{dead}-log", f"{os.getpid()}-alive", "other", "17", "19-abc"])
    assert stat.S_IMODE(made.stat().st_mode) == 0o700 or sys.platform == "win32"


@pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")
def test_a_session_whose_scheduler_answers_is_not_removed(monkeypatch, tmp_path):
    """Its program may live in another container, where its number is not seen from here."""
    monkeypatch.setattr(paths, "runtime_directory", lambda: tmp_path)
    foreign = tmp_path / f"{dead_pid()}-foreign"
    foreign.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(foreign / "scheduler.sock"))
        listener.listen()
        launch.session_directory("19-abc")
        assert foreign.exists()
    launch.session_directory("20-abc")
    assert not foreign.exists()
