"""The network that other tests build on is what it says: hosts reach each other, and do not where they are cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.helpers import wait_until
from tests.support.lab import BASE, Host, Lab, needs_lab
from tests.support.lab_host import processes_in

SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], 7007), family=family) as server:
    print("listening", flush=True)
    while True:
        peer, _ = server.accept()
        with peer:
            peer.sendall(peer.recv(1 << 20, socket.MSG_WAITALL if sys.argv[2:] else 0))
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 7007), timeout=float(sys.argv[2])) as peer:
    peer.sendall(b"x" * int(sys.argv[3]))
    peer.shutdown(socket.SHUT_WR)
    got = 0
    while piece := peer.recv(1 << 20):
        got += len(piece)
    print(got)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    needs_lab()
    with Lab("192.168.3.0/24", "fd00:3::/64", hosts=["client", "a", "b"]) as lab:
        for name in ("a", "b"):
            lab[name].python("-c", SERVER, lab[name].address).wait_for("listening")
        yield lab


def reaches(host: Host, address: str, size: int = 1, limit_s: float = 5.0) -> bool:
    done = host.run([sys.executable, "-c", ASK, address, str(limit_s), str(size)])
    assert done.returncode == 0 or "Error" in done.stderr
    return done.stdout == f"{size}\n"


def test_hosts_reach_each_other(lab: Lab) -> None:
    client, a = lab["client"], lab["a"]
    assert (client.address, client.address6, a.address) == ("192.168.3.11", "fd00:3::b", "192.168.3.12")
    assert reaches(client, a.address)
    assert reaches(client, "a"), "by name"
    a.python("-c", SERVER, a.address6 or "").wait_for("listening")
    assert reaches(client, a.address6 or "")
    assert subprocess.run([sys.executable, "-c", ASK, a.address, "0.2", "1"], capture_output=True).returncode != 0


def test_a_cut_and_its_healing(lab: Lab) -> None:
    client, a, b = lab["client"], lab["a"], lab["b"]
    client.cut(a)
    assert not reaches(client, a.address, limit_s=0.3)
    assert reaches(client, b.address)
    assert reaches(b, a.address)
    client.heal()
    assert reaches(client, a.address)
    a.cut()
    assert not reaches(b, a.address, limit_s=0.3)
    assert reaches(b, b.address)
    a.heal()
    assert reaches(b, a.address)


def test_a_firewall(lab: Lab) -> None:
    a, b = lab["a"], lab["b"]
    a.deny("tcp dport 7007", outgoing=False, by="reject with tcp reset")
    began = time.monotonic()
    assert not reaches(b, a.address)
    assert time.monotonic() - began < 4, "it was told"
    a.allow()
    assert reaches(b, a.address)


def test_counters_and_capture(lab: Lab, tmp_path: Path) -> None:
    client, a = lab["client"], lab["a"]
    before, size = a.counters(), 300_000
    a.python("-c", SERVER.replace("7007", "7008"), a.address, "whole").wait_for("listening")
    with client.capture(tmp_path / "packets.pcap"):
        done = client.run([sys.executable, "-c", ASK.replace("7007", "7008"), "a", "5", str(size)])
    assert done.stdout == f"{size}\n", done.stderr
    after = a.counters()
    assert size < after.rx - before.rx < 1.2 * size
    assert size < after.tx - before.tx < 1.2 * size
    assert b"x" * 1000 in (tmp_path / "packets.pcap").read_bytes()


def test_a_host_is_a_machine_of_its_own(lab: Lab) -> None:
    a, b = lab["a"], lab["b"]
    for place in ("/tmp/mine", "/var/tmp/mine", "/dev/shm/mine"):
        a.run(["touch", place], check=True)
        assert a.run(["test", "-e", place]).returncode == 0
        assert b.run(["test", "-e", place]).returncode == 1
        assert not os.path.exists(place)
    code = (
        "import os, socket, sys; print(os.getcwd(), os.listdir(), os.environ['HOME'], socket.gethostname(), sys.prefix)"
    )
    done = a.run([sys.executable, "-c", code], check=True)
    assert done.stdout.split() == [str(a.work), "[]", str(a.home), "a", sys.prefix]
    assert socket.gethostname() != "a"
    a.write_etc("hosts", "127.0.0.1 localhost\n127.0.1.1 a\n")
    assert a.run(["getent", "ahostsv4", "a"]).stdout.startswith("127.0.1.1 ")
    assert a.run(["getent", "ahostsv4", "b"]).returncode != 0
    lab.name_all()
    assert a.run([sys.executable, "-c", "import lightwork"]).returncode == 0


def test_second_network(lab: Lab) -> None:
    lab.network("10.5.0.0/24", hosts=["client", "b"])
    assert list(lab["b"].interfaces) == ["eth0", "eth1"]
    assert lab["b"].addresses == ["192.168.3.13", "fd00:3::d", "10.5.0.13"]
    assert "eth1" not in lab["a"].interfaces
    server = lab["b"].python("-c", SERVER, "10.5.0.13")
    server.wait_for("listening")
    assert reaches(lab["client"], "10.5.0.13")
    lab["b"].ip("link", "set", "eth1", "down")
    assert not reaches(lab["client"], "10.5.0.13", limit_s=0.3)


def test_nothing_is_left() -> None:
    needs_lab()
    lab = Lab("192.168.3.0/24", hosts=["a"])
    nested = "import subprocess, time; subprocess.Popen(['sleep', '600'], start_new_session=True); time.sleep(600)"
    program = lab["a"].python("-c", nested)
    wait_until(lambda: len(processes_in(lab["a"].namespace)) >= 3, "holder, program and its child run")
    pids = processes_in(lab["a"].namespace)
    lab.close()
    assert program.popen.returncode == -9
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")]
    assert not lab.directory.exists()
    assert lab["a"].namespace not in os.listdir("/run/netns")


def test_a_killed_run_leaves_nothing_for_long(tmp_path: Path) -> None:
    needs_lab()
    code = (
        "import os, time\nfrom tests.support.lab import Lab\n"
        "lab = Lab('192.168.3.0/24', hosts=['a'])\nlab['a'].start(['sleep', '600'])\n"
        "print(lab['a'].namespace, flush=True)\ntime.sleep(600)"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run:
        namespace = run.stdout.readline().strip()
        run.kill()
    assert namespace
    wait_until(lambda: not processes_in(namespace), "the holder ends its host")
    with Lab("192.168.3.0/24", hosts=["a"]):
        assert namespace not in os.listdir("/run/netns")
        assert not list(BASE.glob(f"{run.pid}-*"))
