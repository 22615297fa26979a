"""Jobs on three nodes: one listed, one discovered, one that joined late; and a stranger, whom nobody uses."""

from __future__ import annotations

from pathlib import Path

from lightwork.security.secret import generate
from tests.e2e.helpers import wait_until
from tests.e2e_net.certificates import Authority
from tests.e2e_net.farm import Farm

JOBS = """
def where(n, marker):
    import socket, time
    time.sleep(0.05)
    return socket.gethostname(), n

if __name__ == "__main__":
    nodes = ["a", "192.168.3.*"]
    with lightwork.JobCluster(where, nodes=nodes, listen="192.168.3.11:9700") as cluster:
        jobs = [cluster.submit(n, "PLAINTEXT-MARKER") for n in range(60)]
        say(submitted=True)
        while len({job.node for job in jobs if job.node}) < 3:
            jobs += [cluster.submit(n, "PLAINTEXT-MARKER") for n in range(6)]
            time.sleep(0.2)
        say(functions=[job() for job in jobs], hosts=sorted({job.host for job in jobs}))
    with lightwork.JobCluster("/bin/hostname", nodes=nodes) as cluster:
        while len(cluster.nodes) < 2:
            time.sleep(0.1)
        jobs = [cluster.submit() for n in range(20)]
        cluster.wait()
        say(programs=sorted({job.stdout.strip() for job in jobs}), exits=sorted({job() for job in jobs}))
"""


def test_listed_discovered_and_joined(tmp_path: Path) -> None:
    with Farm("client", "a", "b", "c", "d") as farm:
        first, second = farm.node("a"), farm.node("b", "--name", "bee")
        stranger = farm.node("d", secret=generate())
        packets = tmp_path / "packets.pcap"
        with farm["client"].capture(packets, what="tcp"):
            client = farm.client("client", JOBS)
            client.wait_for("submitted")
            third = farm.node("c", "--join", "192.168.3.11:9700")
            results = client.wait_for("functions")
            client.wait()
        assert {host for host, _ in results} == {"a", "b", "c"}
        assert client.get("hosts") == ["192.168.3.12", "192.168.3.13", "192.168.3.14"]
        assert set(client.get("programs")) == {"a", "b"}
        assert client.get("exits") == [0]
        wait_until(lambda: "holds another secret" in stranger.err, f"the stranger is told: {stranger.err}")
        assert "192.168.3.15:9701 holds another secret" in client.program.err
        assert "claimed" not in stranger.err
        captured = packets.read_bytes()
        assert b"PLAINTEXT-MARKER" not in captured
        assert captured.count(b"\x17\x03\x03") > 100, "records of TLS"
        for node in (first, second, third):
            assert node.popen.poll() is None, node.err


CONSTRUCTORS = """
import pathlib, socket

class ClassA:
    value = 7

def func1():
    import moduleB
    return ClassA.value + moduleB.value, open("file1").read()

def func2(n):
    return n * 2

if __name__ == "__main__":
    pathlib.Path("file1").write_text("text")
    pathlib.Path("moduleB.py").write_text("value = 5")
    sys.path.insert(0, os.getcwd())
    import moduleB
    import lightwork as dispy
    said = []
    cluster = dispy.JobCluster('/bin/hostname', nodes=['192.168.3.*'], transfer_dest='/tmp')
    job = cluster.submit(); job(); said.append(job.stdout.strip()); cluster.close()
    cluster = dispy.JobCluster(func1, depends=[ClassA, moduleB, 'file1'])
    said.append(cluster.submit()()); cluster.close()
    cluster = dispy.JobCluster(func2, secret='super')
    said.append(cluster.submit(1)()); cluster.close()
    cluster = dispy.JobCluster(func2, certfile='mycert', keyfile='mykey')
    said.append(cluster.submit(2)()); cluster.close()
    cluster = dispy.JobCluster(func2, certfile='mycertkey')
    while len(cluster.nodes) < 2:  # this machine, and the node that holds a certificate of the same authority
        time.sleep(0.05)
    said.append(cluster.submit_node("b", 3)()); cluster.close()
    say(said=said)
"""


def test_the_constructor_lines_of_the_third_seed() -> None:
    with Farm("client", "a", "b") as farm:
        authority, work = Authority(), farm["client"].work
        authority.pair("client").write(work, name="my")
        authority.pair("client").write(work, name="both", together=True)
        for name, path in (("mycert", "my.pem"), ("mykey", "my.key"), ("mycertkey", "both.pem")):
            (work / path).rename(work / name)
        authority.pair("b").write(farm["b"].work, together=True)
        farm.node("a")
        farm.node("b", "--certfile", "node.pem")
        client = farm.client("client", CONSTRUCTORS)
        client.wait()
        assert client.get("said") == ["a", [12, "text"], 2, 4, 6]
        assert "super" not in client.program.err
