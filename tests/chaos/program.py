"""A user's program that is simply run again after each death: `python program.py OPTIONS`, OPTIONS as JSON.

for index in range(jobs): submit under its key --> each end is written down, a line of JSON, when it is delivered
    a job writes what it does into the oracle: START, then END, RAISES or DIES, each a line by one write()

It paces itself by the clock of the machine, so that a later life passes over what earlier ones have submitted at once.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightwork

LARGE = 1_000_000
FILE = 5_000_000  # bytes that a client's computation depends on
OPEN_MAX = 50  # of a client that takes them as they end


def work(oracle: str, key: str, kind: str, seconds: float, argument: bytes) -> Any:
    """A job. It tells who ran it and when, so that two runs of one job never have the same value."""
    import hashlib
    import os
    import signal
    import socket
    import subprocess
    import time

    began = time.monotonic_ns()

    def note(what: str, at: int) -> None:
        line = f"{what} {key} {socket.gethostname()} {os.getpid()} {at}\n"
        file = os.open(oracle, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)

    def starts() -> int:
        with open(oracle, "rb") as file:
            return file.read().count(f"START {key} ".encode())

    note("START", began)
    if kind == "poison" or (kind == "once" and starts() == 1):
        note("DIES", time.monotonic_ns())
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "file":
        with open("given.dat", "rb") as given:
            argument = given.read()
    if kind == "child":
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    time.sleep(3600.0 if kind == "hour-once" and starts() == 1 else seconds)
    if kind == "fails" or (kind == "again" and starts() == 1):
        note("RAISES", time.monotonic_ns())
        raise ValueError(key)
    made = (key.encode() * 1_000_000)[:1_000_000] if kind == "large" else b""
    digest = hashlib.blake2b(argument, digest_size=8).hexdigest()
    note("END", time.monotonic_ns())
    return socket.gethostname(), os.getpid(), began, digest, made


class Kind(NamedTuple):
    """What a job does, and what its user asks for with it."""

    name: str
    seconds: float = 0.0
    retries: int = 0
    timeout: float | None = None
    argument: int = 0  # bytes


def kind_of(seed: int, client: str, index: int) -> Kind:
    """The same in every life, and for who judges."""
    chance = random.Random(f"{seed} {client} {index}")
    share = chance.random()
    if share < 0.60:
        return Kind("plain", chance.choice((0.001, 0.005, 0.02)))
    if share < 0.76:
        return Kind("plain", chance.uniform(0.05, 0.5))
    if share < 0.82:
        return Kind("plain", chance.uniform(1.0, 5.0))
    if share < 0.86:
        return Kind("large", 0.01)
    if share < 0.90:
        return Kind("plain", 0.01, argument=LARGE)
    if share < 0.92:
        return Kind("once", 0.01)
    if share < 0.93:
        return Kind("poison")
    if share < 0.95:
        return Kind("again", 0.01, retries=2)
    if share < 0.96:
        return Kind("fails", 0.01, retries=1)
    if share < 0.97:
        return Kind("slow", 60.0, timeout=1.0)
    if share < 0.98:
        return Kind("file", 0.01)
    return Kind("child", chance.choice((0.02, 1.0)))


class Options(NamedTuple):
    """What the program is told."""

    client: str
    life: int
    seed: int
    jobs: int
    begin_s: float  # monotonic
    pace_s: float
    scheduler: str
    reentrant: bool | None
    oracle: str
    deliveries: str  # a file
    by_callback: bool
    lasting: bool
    secret: str = ""


def key_of_job(client: str, life: int, index: int, *, lasting: bool) -> str:
    """Without spaces. A client that is not lasting begins anew in each life."""
    return f"{client}:{index}" if lasting else f"{client}.{life}:{index}"


def key_of(options: Options, index: int) -> str:
    """The same."""
    return key_of_job(options.client, options.life, index, lasting=options.lasting)


def argument_of(key: str, size: int) -> bytes:
    """The bytes that a job gets, if any."""
    return random.Random(key).randbytes(size)


def file_of(options: Options) -> bytes:
    """What is in the file that all jobs of a client are given."""
    return random.Random(f"{options.seed} {options.client}").randbytes(FILE)


def write_file(options: Options) -> Path:
    """Whole, or not at all."""
    path = Path(options.oracle).parent / options.client / "given.dat"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(f".{options.life}")
        new.write_bytes(file_of(options))
        new.rename(path)
    return path


class Deliveries:
    """Writes down what the program is given, as it is given."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._file = os.open(options.deliveries, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, job: lightwork.Job) -> None:
        """A job has ended, and this is the program's first sight of it."""
        value, wrong = None, ""
        if job.status is lightwork.JobState.FINISHED:
            *value, digest, made = job.result
            wrong = self._wrong(job, digest, made)
        line = {
            "life": self._options.life,
            "key": job.id,
            "state": job.status.name,
            "again": bool(getattr(job, "redelivered", False)),
            "value": value,
            "attempts": job.attempts,
            "wrong": wrong,
            "error": (job.exception or "").strip()[-400:],
            "at": time.monotonic_ns(),
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def _wrong(self, job: lightwork.Job, digest: str, made: bytes) -> str:
        import hashlib

        kind = kind_of(self._options.seed, self._options.client, int(job.id.partition(":")[2]))
        given = file_of(self._options) if kind.name == "file" else argument_of(job.id, kind.argument)
        if digest != hashlib.blake2b(given, digest_size=8).hexdigest():
            return "the job got another argument or file"
        wanted = (job.id.encode() * LARGE)[:LARGE] if kind.name == "large" else b""
        return "" if made == wanted else f"the result has {len(made)} bytes, or other ones"


def submit(cluster: Any, options: Options) -> Iterator[Any]:
    """One job after another, none before its time."""
    for index in range(options.jobs):
        time.sleep(max(0.0, options.begin_s + index * options.pace_s - time.monotonic()))
        kind, key = kind_of(options.seed, options.client, index), key_of(options, index)
        given = {"retries": kind.retries} if kind.retries else {}
        submitter = cluster.options(id=key, key=key, timeout=kind.timeout, **given)
        yield submitter.submit(options.oracle, key, kind.name, kind.seconds, argument_of(key, kind.argument))


def open_cluster(options: Options, callback: Any) -> Any:
    """On the scheduler that was named."""
    given = {"recover": options.client} if options.lasting else {}
    make: Any = getattr(lightwork, "SharedJobCluster")
    return make(
        work,
        scheduler=options.scheduler,
        depends=[write_file(options)],
        reentrant=options.reentrant,
        callback=callback,
        name=options.client,
        **given,
    )


def say(text: str) -> None:
    """For who reads what went wrong."""
    print(f"{time.monotonic():.2f} {text}", flush=True)


def main() -> None:
    """One life."""
    options = Options(**json.loads(sys.argv[1]))
    deliveries = Deliveries(options)
    cluster = open_cluster(options, deliveries.note if options.by_callback else None)
    say(f"open, {len(getattr(cluster, 'recovered', ()))} recovered")
    if options.by_callback:
        jobs = list(submit(cluster, options))
        say("submitted")
        while not cluster.wait(5.0):
            say(f"waits for {[(job.id, job.status.name, job.node) for job in jobs if not job.finish.is_set()][:20]}")
    else:
        for job in cluster.as_completed(submit(cluster, options), limit=OPEN_MAX):
            deliveries.note(job)
    say("all ended")
    if cluster.close() is False:
        sys.exit("close() returned False")
    say("closed")


if __name__ == "__main__":
    main()
