"""The user's own certificates instead of a secret: mutual TLS, and a sentence for each way in which it cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.certificates import Authority
from tests.e2e_net.farm import Farm

SEPARATE = {"certfile": "node.pem", "keyfile": "node.key"}
TOGETHER = {"certfile": "both.pem"}


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    """Each host has a certificate of its own, in two files and in one; that of c is signed by another authority."""
    with Farm("client", "a", "b", "c") as farm:
        ours, theirs = Authority(), Authority()
        for name, host in farm.hosts.items():
            pair = (theirs if name == "c" else ours).pair(name)
            pair.write(host.work)
            pair.write(host.work, together=True, name="both")
        for name in ("client", "a"):
            work = farm[name].work
            ours.pair(name, expired=True).write(work, name="old")
            ours.pair(name).write(work, name="other")
            ours.pair(name).write(work, name="open")
            (work / "open.key").chmod(0o640)
        yield farm


def options(given: dict[str, str]) -> list[str]:
    return [word for name, value in given.items() for word in (f"--{name}", value)]


JOBS = """
def where(n):
    import socket
    return socket.gethostname(), n

if __name__ == "__main__":
    with lightwork.JobCluster(where, nodes=["a", "b", "c"], **json.loads(sys.argv[1])) as cluster:
        while len(cluster.nodes) < 2 or not any(one.state == "refused" for one in cluster.status().attempted):
            time.sleep(0.02)
        jobs = [cluster.submit_node(name, name * 100_000) for name in ("a", "b")]
        say(ran=[job()[0] for job in jobs])
        say(refused=[[one.address, one.text, one.hint] for one in cluster.status().attempted if one.state == "refused"])
"""


def test_mutual_tls_with_separate_and_combined_files(farm: Farm) -> None:
    a = farm.node("a", *options(SEPARATE), secret="", ready="")
    b = farm.node("b", *options(TOGETHER), secret="", ready="")
    c = farm.node("c", *options(SEPARATE), secret="", ready="")
    for node in (a, b, c):
        node.wait_for("listens")
    for given, origin in ((SEPARATE, "node.pem"), (TOGETHER, "both.pem")):
        client = farm.client("client", JOBS, json.dumps(given), secret="")
        assert client.wait_for("ran") == ["a", "b"]
        client.wait()
        [[address, text, hint]] = client.get("refused")
        assert address == "c:9701"
        other = f"c:9701 has a certificate of another cluster than ours (from {origin})"
        assert text == f"{other}: certificate signature failure"
        assert hint.startswith("let one authority sign both certificates, or name on each side")
        assert f"{text}\nhint: {hint}" in client.program.err
    other = (
        "refused: 192.168.3.11 has a certificate of another cluster than ours (from node.pem): it does not accept ours"
    )
    wait_until(lambda: f"{other} (let one authority sign both" in c.err, f"the node's owner reads it, too: {c.err}")
    assert "claimed" not in c.err


REFUSALS = {
    "expired": ("old.pem", "old.key", "the certificate in old.pem expired on ", "renew it"),
    "swapped": (
        "node.key",
        "node.pem",
        "node.key holds a private key but no certificate",
        "are certfile and keyfile swapped?",
    ),
    "of another": (
        "node.pem",
        "other.key",
        "the key in other.key does not belong to the certificate in node.pem",
        "the first certificate in the file must be the key's own",
    ),
    "open": (
        "open.pem",
        "open.key",
        "the key file open.key can be read or written by others (mode 0640)",
        "chmod 600 open.key",
    ),
}
REFUSED = """
if __name__ == "__main__":
    for name, (certfile, keyfile) in json.loads(sys.argv[1]).items():
        try:
            lightwork.JobCluster(print, nodes=["a"], certfile=certfile, keyfile=keyfile)
        except lightwork.UserError as error:
            say(**{name: str(error)})
"""


def test_what_cannot_be_used_is_refused_at_the_start_of_either_side(farm: Farm) -> None:
    files = {name: (certfile, keyfile) for name, (certfile, keyfile, *_) in REFUSALS.items()}
    client = farm.client("client", REFUSED, json.dumps(files), secret="")
    nodes = {
        name: farm.node("a", "--certfile", certfile, "--keyfile", keyfile, secret="", ready="")
        for name, (certfile, keyfile) in files.items()
    }
    client.wait()
    for name, (*_, text, hint) in REFUSALS.items():
        assert nodes[name].wait() == 2, "wrong usage"
        for told in (client.get(name), nodes[name].err):
            sentence, _, advice = told.partition("\nhint: ")
            assert text in sentence
            assert advice.strip() == hint
            assert "Traceback" not in told
