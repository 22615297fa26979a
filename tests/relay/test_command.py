"""`lightwork relay` as its owner sees it, with real processes."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from lightwork.cli.relay_command import Options, arguments
from lightwork.security.secret import generate
from tests.cli.helpers import lightwork, wait_for
from tests.cli.nodes import environment_in

SECRET = generate()


def relay(cwd: Path, *options: object, secret: str = SECRET) -> tuple[int, str, str]:
    """The finished command."""
    given = environment_in(cwd, LIGHTWORK_SECRET=secret)
    done = lightwork("relay", *options, cwd=cwd, **given)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("options", "sentence", "hint"),
    [
        ((), "a relay needs to know its scheduler", "--scheduler HOST"),
        (("--scheduler", "a", "--store-quota", "much"), "--store-quota much: that is no size", "500M"),
        (("--scheduler", "a", "--name", "../x"), "'../x' is no name for a relay", "letters"),
        (("--scheduler", "a b"), "'a b' is no address of a machine", "HOST"),
        (("--scheduler", "a", "--nodes", "b:x"), "'x' is no port", "1 to 65535"),
        (("--scheduler", "a", "--detach", "--service"), "--detach and --service", "leave out one"),
        (("--scheduler", "a", "--wrong"), "No such option", "lightwork relay --help"),
    ],
)
def test_what_is_wrong_is_told_at_once(tmp_path: Path, options: tuple[str, ...], sentence: str, hint: str) -> None:
    status, out, err = relay(tmp_path, *options)
    assert (status, out) == (2, "")
    assert sentence in err and hint in err.split("hint:")[1]


def test_without_a_secret_it_does_not_begin(tmp_path: Path) -> None:
    status, _, err = relay(tmp_path, "--scheduler", "a", secret="")
    assert status == 2
    assert "only with a secret, and there is none" in err and "lightwork secret --save" in err


def test_a_phrase_is_refused_beyond_this_machine(tmp_path: Path) -> None:
    status, _, err = relay(tmp_path, "--scheduler", "192.0.2.1", secret="open sesame")
    assert status == 2
    assert "--weak-secret" in err


def test_a_service_gets_the_same_options(tmp_path: Path) -> None:
    given = ("--scheduler", "ada", "--nodes", "b,c", "--store", "files", "--store-quota", "2G", "--no-discovery")
    status, out, _ = relay(tmp_path, *given, "--service")
    assert status == 0
    command = re.search("^ExecStart=(.*)$", out, flags=re.MULTILINE)
    assert command is not None
    words = command[1].split()
    assert words[words.index("relay") :] == [
        *("relay", "--scheduler", "ada", "--nodes", "b", "--nodes", "c", "--store-quota", "2G"),
        *("--store", str(tmp_path / "files"), "--no-discovery"),
    ]


def test_arguments_leave_out_what_was_not_given() -> None:
    assert arguments(Options(scheduler="a")) == ["--scheduler", "a"]
    every = Options("a", "*:1", ("b", "c*"), True, "gate", "/s", "1G", "/f", "/c", "/k", "/a", True)
    words = arguments(every)
    for word in ("*:1", "b", "c*", "gate", "/s", "1G", "/f", "/c", "/k", "/a", "--no-discovery", "--weak-secret"):
        assert word in words


def test_it_goes_to_the_background_and_waits_for_its_scheduler(tmp_path: Path) -> None:
    """TERM ends it, in order."""
    options = ("--scheduler", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--name", "gate", "--no-discovery")
    status, out, err = relay(tmp_path, *options, "--store", tmp_path / "store", "--detach")
    assert status == 0
    assert "warning: waits for the scheduler: nobody listens at 127.0.0.1:1" in err
    assert re.search(
        r"^relay gate for the scheduler at 127.0.0.1:1 listens at 127.0.0.1:\d+: lightwork node --join", out
    )
    found = re.search(r"it goes on as process (\d+): .* its log is (.*)", err)
    assert found is not None
    pid, log = int(found[1]), Path(found[2])
    try:
        wait_for(lambda: "waits for the scheduler: nobody listens at 127.0.0.1:1" in log.read_text())
        assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()
        second = relay(tmp_path, *options, "--store", tmp_path / "store")
        assert second[0] == 255 and "another relay keeps its files in" in second[2]
        assert "give each its own --store" in second[2]
    finally:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 20
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.02)
