"""Files over the network: each link is crossed once, a break costs what was under way, nobody holds them in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import Client, Farm
from tests.support.lab_host import Host

pytestmark = pytest.mark.slow

MB = 1 << 20
LIMIT_S = 240.0
TIMERS = "HEARTBEAT_S=0.4 RETRY_S=0.5 RETRY_MAX_S=1 LEASE_S=60"  # a break is noticed soon, and no claim is lost by it
NODES = ["a", "b", "c"]
GROWTH_MAX = 100 * MB
SILENT = "has not been heard"


@pytest.fixture
def farm() -> Iterator[Farm]:
    with Farm("client", *NODES, timers=TIMERS) as farm:
        yield farm


def memory(pid: int, field: str = "VmRSS") -> int:
    """Bytes of a process now; VmHWM: its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def write(path: Path, size: int) -> str:
    """A file that cannot be compressed, and what it is called by its content."""
    block, digest = os.urandom(MB), hashlib.blake2b()
    with open(path, "wb") as file:
        for n in range(size // MB):
            piece = n.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def cut_and_heal(farm: Farm, host: Host, client: Client) -> None:
    """What a firewall of the host has stopped is cut until the scheduler notices, and then all is as before."""
    before = client.program.err.count(SILENT)
    host.cut()
    wait_until(lambda: client.program.err.count(SILENT) > before, "the break is noticed", LIMIT_S)
    host.allow()
    host.heal()


THERE = """
def digest(name):
    import hashlib
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()

def size(name):
    import os
    return os.path.getsize(name)

if __name__ == "__main__":
    nodes = ["a", "b", "c"]
    for function in (digest, size):
        with lightwork.JobCluster(function, nodes=nodes, depends=["big.dat"]) as cluster:
            while len(cluster.nodes) < len(nodes):
                time.sleep(0.02)
            begun = time.monotonic()
            jobs = [cluster.submit_node(node, "big.dat") for node in nodes]
            if function is digest:
                say(host=cluster.status().pids["host"])
            found, name = [job.get() for job in jobs], function.__name__
            say(**{name: found, name + "_took": time.monotonic() - begun})
            if function is digest:
                while not os.path.exists("go-on"):
                    time.sleep(0.02)
"""


@pytest.mark.parametrize("size", [150 * MB, pytest.param(1024 * MB, marks=pytest.mark.soak)], ids=["150MB", "1GB"])
def test_a_file_crosses_each_link_once(farm: Farm, size: int) -> None:
    nodes = [farm.node(node, "--slots", "1") for node in NODES]
    digest = write(farm["client"].work / "big.dat", size)
    small = [memory(node.pid) for node in nodes]
    farm["b"].deny(f"quota over {size // 3} bytes", outgoing=False)
    client = farm.client("client", THERE)
    host = client.wait_for("host", LIMIT_S)
    small.append(memory(host))
    wait_until(lambda: farm["b"].counters().rx > size // 3, "a third of it has come to b", LIMIT_S)
    cut_and_heal(farm, farm["b"], client)
    assert client.wait_for("digest", LIMIT_S) == [digest] * 3
    received = {node: farm[node].counters().rx for node in NODES}
    assert all(size < count < 1.1 * size for count in received.values()), received
    peaks = [memory(pid, "VmHWM") for pid in (*(node.pid for node in nodes), host)]
    assert all(peak < start + GROWTH_MAX for peak, start in zip(peaks, small, strict=True)), (small, peaks)
    (farm["client"].work / "go-on").touch()
    client.wait(LIMIT_S)
    assert client.get("size") == [size] * 3
    again = {node: farm[node].counters().rx - count for node, count in received.items()}
    assert all(count < 2 * MB for count in again.values()), again
    print(
        f"{size / MB / client.get('digest_took'):.0f} MB/s to each of three, with a break; then",
        client.get("size_took"),
    )


BACK = """
def make(size):
    import hashlib, os
    block, said = os.urandom(1 << 20), []
    for name in ("sent.dat", "left.dat"):
        digest = hashlib.blake2b()
        with open(name, "wb") as file:
            for n in range(size >> 20):
                piece = n.to_bytes(8, "big") + block[8:]
                digest.update(piece)
                file.write(piece)
        said.append(digest.hexdigest())
    lightwork.send_file("sent.dat")
    return said

if __name__ == "__main__":
    with lightwork.JobCluster(make, nodes=["a"], outputs=["left.dat"], outputs_dir="out") as cluster:
        job = cluster.options(id="job").submit(int(sys.argv[1]))
        while job.status.name != "RUNNING":
            time.sleep(0.01)
        say(host=cluster.status().pids["host"])
        said = job.get()
        say(said=said, took=time.time() - job.start_time)
"""


@pytest.mark.parametrize("size", [50 * MB, pytest.param(200 * MB, marks=pytest.mark.soak)], ids=["50MB", "200MB"])
def test_files_come_back_through_breaks(farm: Farm, size: int) -> None:
    """One sent while the job runs, one of its outputs; each is interrupted in its midst."""
    node, host = farm.node("a", "--slots", "1"), farm["a"]
    small = memory(node.pid)
    host.deny(f"quota over {size // 2} bytes", incoming=False)
    client = farm.client("client", BACK, str(size))
    scheduler = client.wait_for("host", LIMIT_S)
    small_scheduler = memory(scheduler)
    for part in (0.4, 1.4):
        wait_until(lambda: host.counters().tx > part * size, f"{part} of the files have left", LIMIT_S)
        cut_and_heal(farm, host, client)
        if part < 1:
            host.deny(f"quota over {size} bytes", incoming=False)
    said = client.wait_for("said", LIMIT_S)
    client.wait(LIMIT_S)
    files = [farm["client"].work / "out" / name for name in ("sent.dat", "job/left.dat")]
    assert said == [hashlib.blake2b(path.read_bytes()).hexdigest() for path in files]
    sent = host.counters().tx
    assert 2 * size < sent < 1.1 * 2 * size, sent
    assert memory(node.pid, "VmHWM") < small + GROWTH_MAX
