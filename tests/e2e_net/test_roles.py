"""One scheduler for two kinds of credentials, each machine in a namespace of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from lightwork.security.secret import generate
from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import SHORT, Client, Farm
from tests.support.lab import Program

NODES = generate()
WHERE = """
def where():
    import socket
    return socket.gethostname()

if __name__ == "__main__":
    try:
        with lightwork.SharedJobCluster(where, scheduler="lead", nodes=sys.argv[1:] or None) as cluster:
            say(ran=cluster.submit()())
    except lightwork.LightworkError as error:
        say(ran="", error=str(error))
"""
DIRECT = """
if __name__ == "__main__":
    cluster = lightwork.JobCluster(abs, nodes=["listens"])
    cluster.submit(-1)
    while not any(one.text for one in cluster.status().attempted):
        time.sleep(0.05)
    say(told=[one.text for one in cluster.status().attempted])
    cluster.close(terminate=True)
"""


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    """`farm.secret` is that of programs."""
    with Farm("lead", "joins", "listens", "desk", timers=SHORT) as one:
        yield one


@pytest.fixture(scope="module")
def hub(farm: Farm) -> Program:
    work = farm["lead"].work
    for name, secret in (("nodes", NODES), ("cluster", farm.secret)):
        (work / name).write_text(secret + "\n")
        (work / name).chmod(0o600)
    files = ["--node-secret-file", str(work / "nodes"), "--cluster-secret-file", str(work / "cluster")]
    program = farm["lead"].start(["lightwork", "scheduler", *files], env=farm.environment("", None))
    program.wait_for("listens at")
    return program


def client(farm: Farm, *arguments: str, secret: str | None = None) -> Client:
    return farm.client("desk", WHERE, *arguments, secret=secret)


def ended(node: Program) -> None:
    node.signal(signal.SIGTERM)
    assert node.wait() == 0


def test_programs_and_nodes_meet_at_the_scheduler(farm: Farm, hub: Program) -> None:
    joins = farm.node("joins", "--join", "lead", secret=NODES)
    joins.wait_for("has joined")
    assert client(farm).wait_for("ran") == "joins"
    ended(joins)


def test_a_node_that_listens_is_found_and_dialled_by_the_nodes_secret(farm: Farm, hub: Program) -> None:
    listens = farm.node("listens", secret=NODES)
    assert client(farm, "*").wait_for("ran") == "listens"
    told = farm.client("desk", DIRECT).wait_for("told")  # a program itself is nobody to it
    assert any("holds another secret" in text for text in told)
    ended(listens)


def test_who_has_the_one_cannot_pass_for_the_other(farm: Farm, hub: Program) -> None:
    node = farm.node("joins", "--join", "lead")
    node.wait_for("a node needs the node credential of this scheduler, and what it shows is the cluster credential")
    node.wait_for("(ours is from LIGHTWORK_SECRET)")
    program = client(farm, secret=NODES)
    assert program.wait_for("ran") is not None
    assert "a client needs the cluster credential of this scheduler" in program.get("error")

    def both_told() -> bool:
        return all(
            f"was turned away: a {role} needs the {kind} credential" in hub.out + hub.err
            for role, kind in (("node", "node"), ("client", "cluster"))
        )

    wait_until(both_told, hub.err)
    assert "is there (192.168.3." not in node.err
    ended(node)
