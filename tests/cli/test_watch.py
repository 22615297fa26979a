"""`lightwork sessions|status|jobs|cancel|logs` against the scheduler of a program that runs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.desk import Desk, desk
from tests.cli.helpers import COMMAND, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")]


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Desk, str]]:
    """A program at work: jobs 0 and 1 run, 2 to 4 wait. Its session."""
    with desk() as one:
        yield one, one.cluster()


def test_sessions(lab: tuple[Desk, str]) -> None:
    here, session = lab
    done = here.run("sessions")
    assert (done.returncode, done.stderr) == (0, "")
    where, heads, row = done.stdout.splitlines()
    assert re.fullmatch(r"scheduler lab at unix:.*/scheduler\.sock", where)
    assert heads.split()[0] == "Session"
    assert row.split()[0] == session
    told = here.json("sessions")["schedulers"]
    assert [one["name"] for one in told] == ["lab"]
    assert told[0]["address"].startswith("unix:")
    (found,) = told[0]["sessions"]
    assert (found["name"], found["queued"], found["running"], found["attached"]) == (session, 3, 2, True)


def test_status(lab: tuple[Desk, str]) -> None:
    here, session = lab
    shown = here.run("status").stdout
    assert "2 jobs running, 3 queued" in shown
    assert f"job {session}/2 (lab) waits: all 2 slots of node" in shown
    (told,) = here.json("status")["schedulers"]
    assert (told["running"], told["queued"]) == (2, 3)
    (node,) = told["nodes"]
    assert (node["slots"], node["busy"], node["state"]) == (2, 2, "ready")


def test_a_scheduler_is_named(lab: tuple[Desk, str]) -> None:
    here, session = lab
    address = here.json("sessions")["schedulers"][0]["address"]
    done = here.run("sessions", "--scheduler", address)
    assert done.stdout.splitlines()[1].split()[0] == session
    assert "scheduler lab" not in done.stdout


def test_jobs(lab: tuple[Desk, str]) -> None:
    here, session = lab
    rows = here.run("jobs", session).stdout.splitlines()
    assert rows[0].split()[:3] == ["Job", "State", "Runs"]
    assert [row.split()[:2] for row in rows[1:3]] == [[f"{session}/0", "running"], [f"{session}/1", "running"]]
    assert rows[3].endswith("slots of node %s are busy" % rows[1].split()[3])
    told = here.json("jobs", "--state", "queued", "--limit", "2")
    assert [job["number"] for job in told["jobs"]] == [2, 3]
    assert told["total"] == 3
    done = here.run("jobs", "--limit", "2")
    assert done.stderr == "2 of 5 jobs; --limit 5 shows all\n"
    done = here.run("jobs", "--state", "failed")
    assert (done.stdout, done.stderr, done.returncode) == ("", "no such jobs\n", 0)
    (running,) = here.json("jobs", session, "--state", "running", "--limit", "1")["jobs"]
    assert running["duration_s"] > 0
    assert running["text"] == ""
    assert here.run("jobs", "--state", "sleeping").returncode == 2


def test_logs(lab: tuple[Desk, str]) -> None:
    here, session = lab
    done = wait_for(lambda: (found := here.run("logs", f"{session}/1")).stdout and found)
    assert (done.stdout, done.stderr, done.returncode) == ("begin 1\n", "oops 1\n", 0)
    done = here.run("logs", f"{session}/1", "--stderr")
    assert (done.stdout, done.stderr) == ("oops 1\n", "")
    assert here.run("logs", f"{session}/1", "--stdout").stderr == ""
    told = here.json("logs", f"{session}/1")
    assert (told["stdout"], told["stderr"], told["state"], told["number"]) == ("begin 1\n", "oops 1\n", "running", 1)
    done = here.run("logs", f"{session}/3")
    assert (done.stdout, done.stderr, done.returncode) == ("", f"job {session}/3 has not started\n", 0)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["logs", "{s}/77"], 1, "has no job 77"),
        (["logs", "nobody/1"], 1, "there is no session 'nobody'"),
        (["logs", "{s}"], 2, "is no job"),
        (["logs", "{s}/1", "--follow", "--json"], 2, "--follow and --json"),
        (["jobs", "nobody"], 2, "there is no session 'nobody'\nhint: the sessions now: {s}"),
        (["cancel", "nobody/1"], 2, "there is no session 'nobody'"),
        (["cancel", "{s}/9-3"], 2, "names no jobs"),
        (["cancel", "{s}/0-99999999999"], 2, "more than 1,000,000 jobs"),
        (["cancel"], 2, "Missing argument"),
        (["status", "--scheduler", "unix:/nowhere/at.all"], 1, "nobody listens at unix:/nowhere/at.all"),
        (["status", "--scheduler", "lab1:0"], 2, "is no port"),
        (["status", "--scheduler", "127.0.0.1"], 2, "there is no credential"),
    ],
)
def test_errors_are_sentences(lab: tuple[Desk, str], arguments: list[str], status: int, words: str) -> None:
    here, session = lab
    done = here.run(*(word.format(s=session) for word in arguments))
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert words.format(s=session) in done.stderr


@pytest.mark.parametrize("command", ["sessions", "status", "jobs"])
@pytest.mark.parametrize("width", [40, 60, 200])
def test_no_line_is_wider_than_the_terminal(lab: tuple[Desk, str], command: str, width: int) -> None:
    here, _ = lab
    shown, status = here.on_terminal(command, width=width)
    assert status == 0
    assert "\x1b" not in shown
    table = [line for line in shown.splitlines() if not line.startswith(("scheduler", "job "))]
    assert len(table) >= 2
    assert all(len(line) <= width for line in table), table
    assert ("..." in shown) <= (width < 200)


def test_who_reads_no_more_ends_it(lab: tuple[Desk, str]) -> None:
    here, session = lab
    command = [*COMMAND, "jobs", session]
    with subprocess.Popen(command, env=here.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) in (141, 0)
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


# --- each with a program of its own ---


def test_cancel_and_confirm() -> None:
    with desk() as here:
        session = here.cluster()
        done = here.run("cancel", f"{session}/3-4", f"{session}/77")
        assert done.returncode == 0
        assert done.stderr.splitlines() == [
            f"2 jobs of session {session} cancelled",
            f"job 77 of session {session} had ended, or never was",
        ]
        shown, status = here.on_terminal("cancel", session, typed=b"n\r")
        assert status == 1
        assert f"cancel 3 jobs of session {session}? [y/N]" in shown
        assert "nothing was cancelled" in shown
        assert here.json("jobs")["total"] == 3
        told = here.json("cancel", f"{session}/2")
        assert told["sessions"][0]["jobs"] == [2]
        assert told["sessions"][0]["cancelled"] == 1
        shown, status = here.on_terminal("cancel", session, typed=b"y\r")
        assert status == 0
        assert f"2 jobs of session {session} cancelled" in shown
        wait_for(lambda: here.run("sessions").returncode == 1)  # the program has nothing more to wait for


def test_yes_is_not_asked() -> None:
    with desk() as here:
        session = here.cluster()
        shown, status = here.on_terminal("cancel", "--yes", session)
        assert (shown, status) == (f"5 jobs of session {session} cancelled\r\n", 0)


def test_follow_to_the_end_and_interrupted() -> None:
    with desk() as here:
        session = here.cluster()
        command = [*COMMAND, "logs", "--follow", f"{session}/0"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": here.environment}
        follower = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
        other = subprocess.Popen([*command[:-1], f"{session}/4"], **pipes)  # type: ignore[call-overload]
        assert follower.stdout.readline() == b"begin 0\n"
        assert b"has not started; waiting" in other.stderr.readline()
        other.send_signal(signal.SIGINT)
        stdout, stderr = other.communicate(timeout=30)
        assert (stdout, other.returncode) == (b"", 130)
        assert b"Traceback" not in stderr
        here.go.touch()
        stdout, stderr = follower.communicate(timeout=30)
        assert (stdout, follower.returncode) == (b"end 0\n", 0)
        assert stderr.startswith(b"oops 0\n")
        assert b"has ended" in stderr


def test_several_schedulers() -> None:
    with desk() as here:
        first, second = here.cluster("one"), here.cluster("two")
        shown = here.run("status").stdout
        assert "scheduler one at" in shown
        assert "scheduler two at" in shown
        assert {one["name"] for one in here.sessions()} == {first, second}
        done = here.run("jobs")
        assert done.returncode == 2
        assert "2 schedulers of yours run on this machine" in done.stderr
        assert done.stderr.count("--scheduler unix:") == 2
        assert here.json("jobs", second)["jobs"][0]["session"] == second  # only one of them has it
        assert "none of 2 schedulers here have a session 'nobody'" in here.run("logs", "nobody/1").stderr


def test_none() -> None:
    with desk() as here:
        for command in (["sessions"], ["status"], ["jobs"], ["cancel", "s/1"], ["logs", "s/1"]):
            done = here.run(*command)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("error: no scheduler of yours runs on this machine\nhint: ")


def test_what_is_no_scheduler_is_told() -> None:
    with desk() as here:
        here.start(*COMMAND, "node", "--name", here.home.name, name="node")
        said = wait_for(lambda: re.search(r"(unix:[^\"\s]+)", here.log("node")))
        done = here.run("status", "--scheduler", said[1])
        assert done.returncode == 1
        assert said[1].removeprefix("unix:") in done.stderr
        assert "scheduler" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_place_whose_process_is_gone_is_not_asked() -> None:
    with desk() as here:
        places = here.home / "run" / "lightwork" / "schedulers"
        places.mkdir(parents=True, mode=0o700)
        place = {"name": "old", "address": "unix:/nowhere", "pid": 999_999_999, "start": "1-x"}
        (places / "old.json").write_text(json.dumps(place))
        (places / "broken.json").write_text("{")
        assert "no scheduler of yours runs" in here.run("status").stderr
