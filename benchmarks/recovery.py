"""How long it takes until work goes on: after a worker's death, a partition, a restart of a scheduler with many jobs.

What is promised stands beside it; the yardstick of the first row is a job that simply follows another one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightwork
from benchmarks.ways import measured, median, row

DEATHS = 15
CUTS = 5
CUT_S = 5.0
JOBS = 100_000
WAIT_S = 120.0
WIDTHS = (44, 12, 12, 12)


def dies_once(path: str) -> float:
    """Leaves when it began; the first time it takes its worker with it. Seconds between the two."""
    import os
    import signal
    import time

    now = time.monotonic()
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write(repr(time.monotonic()))
        os.kill(os.getpid(), signal.SIGKILL)
    with open(path) as file:
        return now - float(file.read())


def worker_death() -> list[float]:
    """From the death of a worker to the next start of its job."""
    with tempfile.TemporaryDirectory() as directory, lightwork.JobCluster(dies_once, slots=2) as cluster:
        return [cluster.submit(f"{directory}/{n}").get(WAIT_S) for n in range(DEATHS)]


def began(path: str) -> float:
    """When it did."""
    import time

    with open(path, "a") as file:
        file.write(f"{time.monotonic()}\n")
    return time.monotonic()


def partition() -> list[float]:
    """From the moment when a cut link is healed (its lease was over) to the first job on the other side."""
    from tests.e2e_net.farm import Farm
    from tests.support.lab import _why_not

    why = _why_not()
    if why:
        sys.exit(f"no network of namespaces here: {why}")
    code = """
        def began():
            import time
            return time.monotonic()

        with lightwork.SharedJobCluster(began, scheduler="s") as cluster:
            for n in range(int(sys.argv[1])):
                cluster.submit()()
                say(**{f"ready{n}": True})
                while not os.path.exists(f"{sys.argv[2]}/{n}"):
                    time.sleep(0.005)
                say(**{f"began{n}": cluster.submit()()})
    """
    found = []
    with Farm("s", "u", "a", timers="LEASE_S=3") as farm:
        farm["s"].start(["lightwork", "scheduler"], env=farm.environment(None, None)).wait_for("nodes join it by")
        farm.node("a", "--join", "s", ready="joined")
        flags = farm.directory / "flags"
        flags.mkdir()
        client = farm.client("u", code, str(CUTS), str(flags))
        for n in range(CUTS):
            client.wait_for(f"ready{n}")
            farm["a"].cut()
            time.sleep(CUT_S)
            (flags / str(n)).touch()
            time.sleep(0.2)
            healed = time.monotonic()
            farm["a"].heal()
            found.append(client.wait_for(f"began{n}") - healed)
        client.wait()
    return found


# --- restart ---


@contextmanager
def _program(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "ab") as file:
        process = subprocess.Popen([sys.executable, "-m", "lightwork", *arguments], stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until(log: Path, text: str) -> float:
    end = time.monotonic() + WAIT_S
    while text not in log.read_text():
        if time.monotonic() > end:
            raise AssertionError(f"not said: {text}\n{log.read_text()}")
        time.sleep(0.002)
    return time.monotonic()


def restart() -> list[float]:
    """A scheduler with many jobs on disk is killed: from its start until it listens, then until the first job began
    after its node had reported.
    """
    with tempfile.TemporaryDirectory(prefix="lw") as name:
        directory = Path(name)
        for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            os.environ[variable] = name
        command = ["scheduler", "--state", str(directory / "state"), "--name", "bench"]
        node = ["node", "--slots", "2", "--name", f"bench-{os.getpid()}"]
        logs = [directory / log for log in ("one", "two", "node", "node2")]
        with _program(logs[0], *command) as scheduler:
            _until(logs[0], "listens")
            with _program(logs[2], *node, "--join", _address()):
                _until(logs[2], "joined")
            _submit(directory / "began")
            scheduler.send_signal(signal.SIGKILL)
            scheduler.wait()
        started = time.monotonic()
        with _program(logs[1], *command):
            up = _until(logs[1], "listens")
            with _program(logs[3], *node, "--join", _address()):
                reported = _until(logs[3], "joined")
                first = _first(directory / "began")
        return [up - started, first - reported]


def _address() -> str:
    from lightwork.config import places

    return places.find()[0].address


def _submit(path: Path) -> None:
    """All of them, while there is no node, by a program that is killed when they are on disk."""
    command = [sys.executable, "-m", "benchmarks.recovery", "submit", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdout is not None
        client.stdout.readline()
        client.kill()


def submit(path: str) -> None:
    """That program."""
    cluster = lightwork.SharedJobCluster(began, scheduler=_address(), recover="bench")
    for _ in range(JOBS):
        cluster.submit(path)
    core: Any = cluster._session.core
    while core.upto < JOBS:
        time.sleep(0.02)
    print("on disk", flush=True)
    time.sleep(WAIT_S)


def _first(path: Path) -> float:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if path.exists() and "\n" in (text := path.read_text()):
            return float(text.split()[0])
        time.sleep(0.002)
    raise AssertionError("no job began")


def main() -> None:
    """The table."""
    row("seconds", "median", "worst", "promised", widths=WIDTHS)
    for name, what, promised in (
        ("worker_death", f"worker's death to the next start, {DEATHS} times", 1.0),
        ("partition", f"link healed to the next job there, {CUTS} times", 10.0),
    ):
        found = measured("benchmarks.recovery", name)
        row(what, median(found), max(found), promised, widths=WIDTHS)
    up, first = measured("benchmarks.recovery", "restart")
    row(f"scheduler with {JOBS:,} jobs: start to open doors", up, up, "", widths=WIDTHS)
    row("its node has reported to the first job", first, first, 5.0, widths=WIDTHS)


if __name__ == "__main__":
    if sys.argv[1] == "submit":
        submit(sys.argv[2])
    else:
        figures: dict[str, Callable[[], list[float]]] = {
            "worker_death": worker_death,
            "partition": partition,
            "restart": restart,
        }
        print(*figures[sys.argv[1]]())
