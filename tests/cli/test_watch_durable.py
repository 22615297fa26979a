"""`lightwork sessions|status|jobs|cancel|logs` against `lightwork scheduler`: what has ended is still there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lightwork.config.limits import OUTPUT_PIECE
from lightwork.security.secret import generate
from lightwork.wire import outcome
from tests.cli.desk import Actors, Desk, desk
from tests.cli.helpers import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")]

LONG = outcome.Stream(b"a" * (OUTPUT_PIECE + 100) + b"\n", b"the end\n", 3 << 20)


class Shared(NamedTuple):
    """A scheduler that listens, with jobs: 0 returned, 1 failed, 2 and 3 run, 4 to 9 wait."""

    desk: Desk
    actors: Actors
    port: int
    secret: Path


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    with desk() as here:
        here.environment["LIGHTWORK_TIMERS"] = "LEASE_S=600"  # the node of this house says only what it must
        secret = here.home / "secret"
        secret.write_text(generate() + "\n")
        secret.chmod(0o600)
        here.scheduler("--listen", "127.0.0.1:0", "--secret-file", str(secret))
        port = int(wait_for(lambda: re.search(r"listens at 127\.0\.0\.1:(\d+)", here.log("keeper")))[1])
        actors = Actors(here.place("keeper")["address"])
        actors.submit(10)
        actors.end(actors.tokens[0], stdout=LONG, stderr=outcome.Stream(b"oops\n"))
        failure = {"type": b"ValueError", "message": b"no\nmore"}
        actors.end(actors.tokens[1], outcome.RAISED, failure=failure)
        wait_for(lambda: here.json("jobs", "--state", "running")["total"] >= 0)
        yield Shared(here, actors, port, secret)
        actors.close()


def over_network(shared: Shared, *arguments: str) -> list[str]:
    return [*arguments, "--scheduler", f"127.0.0.1:{shared.port}", "--secret-file", str(shared.secret)]


def test_ended_jobs_are_listed(shared: Shared) -> None:
    here = shared.desk
    told = here.json("jobs", "nightly", "--state", "ended")
    assert [(job["number"], job["state"], job["text"]) for job in told["jobs"]] == [
        (0, "finished", ""),
        (1, "failed", "ValueError: no"),
    ]
    assert told["jobs"][0]["key"] == "key0"
    assert told["jobs"][0]["duration_s"] == 1.0
    assert here.json("jobs")["total"] == 10
    (session,) = here.json("sessions")["schedulers"][0]["sessions"]
    assert (session["user"], session["host"], session["lasting"], session["kept"]) == ("ann", "ada", True, 2)
    assert "attached, lasting" in here.run("sessions").stdout


def test_the_same_over_the_network(shared: Shared) -> None:
    here = shared.desk
    done = here.run(*over_network(shared, "jobs", "nightly", "--state", "failed"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[:2] == ["nightly/1", "failed"]
    assert here.json(*over_network(shared, "status"))["schedulers"][0]["nodes"][0]["name"] == "bob"


def test_the_wrong_secret_is_told(shared: Shared) -> None:
    other = shared.desk.home / "other"
    other.write_text(generate() + "\n")
    other.chmod(0o600)
    where = f"127.0.0.1:{shared.port}"
    done = shared.desk.run("status", "--scheduler", where, "--secret-file", other)
    assert done.returncode == 1
    assert "secret" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_listens_there(shared: Shared) -> None:
    done = shared.desk.run("status", "--scheduler", "127.0.0.1:1", "--secret-file", shared.secret)
    assert done.returncode == 1
    assert "nobody listens at 127.0.0.1:1" in done.stderr
    assert "hint: is `lightwork scheduler` running there" in done.stderr


def test_all_that_was_kept_of_long_output(shared: Shared) -> None:
    done = shared.desk.run("logs", "nightly/0")
    assert done.stdout.encode() == LONG.head + LONG.tail
    assert sorted(done.stderr.splitlines()) == ["3.0 MiB in the middle of its stdout are left out", "oops"]
    told = shared.desk.json("logs", "nightly/0")
    assert (told["stdout_left_out_bytes"], told["stderr_left_out_bytes"]) == (3 << 20, 0)
    assert (told["state"], told["attempts"], told["stderr"]) == ("finished", 1, "oops\n")
    assert shared.desk.run("logs", "nightly/1").stdout == ""


def test_follow_of_what_has_ended_ends(shared: Shared) -> None:
    done = shared.desk.run("logs", "--follow", "--stderr", "nightly/0")
    assert (done.returncode, done.stdout) == (0, "oops\n")


def test_cancel_outlives_the_scheduler() -> None:
    with desk() as here:
        keeper = here.scheduler()
        actors = Actors(here.place("keeper")["address"])
        actors.submit(6)
        done = here.run("cancel", "nightly/4-5")
        assert done.stderr == "2 jobs of session nightly cancelled\n"
        keeper.kill()
        keeper.wait()
        actors.close()
        (here.home / "run" / "lightwork" / "schedulers" / "keeper.json").unlink()
        here.scheduler()
        told = here.json("jobs", "--state", "cancelled")
        assert [job["number"] for job in told["jobs"]] == [4, 5]
        (session,) = here.json("sessions")["schedulers"][0]["sessions"]
        assert (session["name"], session["attached"], session["queued"]) == ("nightly", False, 4)
        assert "away for" in here.run("sessions").stdout
