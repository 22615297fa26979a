"""Ten ways to get an address wrong: within five seconds the user reads for each what is wrong, where, and what to do.

secret        a cluster with a good node besides: each of the ten is told as it is found out
certificate   a cluster with none: all ten are told together, as the reason why its job waits
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from lightwork.kit.version import __version__
from lightwork.security.secret import generate
from lightwork.wire.messages import PROTOCOL
from tests.e2e.helpers import LIMIT_S, PROMISED_S
from tests.e2e_net.certificates import Authority
from tests.e2e_net.farm import SHORT, Client, Farm

NAME_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("up", flush=True)
while True:
    asked, whom = server.recvfrom(512)
    server.sendto(asked[:2] + bytes([0x81, 0x83]) + asked[4:6] + bytes(6) + asked[12:], whom)  # no such name
"""
TALKS = """
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
print("up", flush=True)
taken = []
while True:
    taken.append(server.accept()[0])
    taken[-1].sendall("".join(sys.argv[2:]).encode())
"""
OLDER = """
import asyncio, sys
from lightwork.security.credential import find
from lightwork.transport.endpoint import listen
from lightwork.transport.link import Receiver
from lightwork.transport.tls import Encryption
from lightwork.wire.messages import Hello

async def main():
    hello = Hello(1, "node", "older", software="lightwork 0.0.1")
    certfile = "".join(sys.argv[2:]) or None
    await listen(f"tcp:*:{sys.argv[1]}", Receiver(), hello, encryption=Encryption(find(certfile=certfile)))
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
JOB = """
def where():
    import socket
    return socket.gethostname()

class Stamped:
    def __init__(self, stream):
        self.stream, self.told = stream, []
    def write(self, text):
        self.told.append((time.monotonic() - begun, text))
        return self.stream.write(text)
    def flush(self):
        self.stream.flush()

if __name__ == "__main__":
    places, options = json.loads(sys.argv[1])
    stream = sys.stderr = Stamped(sys.stderr)
    begun = time.monotonic()
    cluster = lightwork.JobCluster(where, **options)
    job = cluster.submit()
    attempted, told = {}, {}
    while time.monotonic() < begun + 15 and (len(attempted) < len(places) or len(told) < len(places)):
        for one in cluster.status().attempted:
            if one.text:
                attempted.setdefault(one.address, (time.monotonic() - begun, one.state, one.text, one.hint))
        for at, text in list(stream.told):
            for place in places:
                if place in text:
                    told.setdefault(place, at)
        time.sleep(0.05)
    say(attempted=attempted, told=told, result=job() if "good" in options["nodes"] else None)
    cluster.close(terminate=True)
"""


class Wrong(NamedTuple):
    """A wrong address, and what is said of it."""

    nodes: str  # as the user writes it
    state: str
    text: str
    hint: str

    @property
    def address(self) -> str:
        return self.nodes if ":" in self.nodes else f"{self.nodes}:9701"


def older(port: int) -> Wrong:
    text = f"the node (lightwork 0.0.1) speaks protocol 1, the scheduler (lightwork {__version__}) speaks {PROTOCOL}"
    hint = "the same version of Lightwork on both sides: pip install --upgrade lightwork"
    return Wrong(f"other:{port}", "refused", f"other:{port}: {text}", hint)


PORT = "is the port right? `lightwork node` says its own when it starts (9701"
COMMON = [
    Wrong("nobody", "unreachable", "there is no host named nobody", "its IP address, such as 192.168.3.4"),
    Wrong(
        "other:9999",
        "unreachable",
        "nobody listens at other:9999 (192.168.3.13): connection refused",
        "is the node, relay or scheduler running there, and does it listen on port 9999?",
    ),
    Wrong(
        "gone",
        "unreachable",
        "no answer from gone:9701 (192.168.3.14) within 3 s",
        "is it on, and in this network (`ping gone`)? does its firewall let TCP port 9701 in?",
    ),
    Wrong("other:9710", "refused", "something at other:9710 takes connections but says nothing", PORT),
    Wrong("other:9711", "refused", "an HTTP server answers at other:9711, no Lightwork program", PORT),
    Wrong(
        "other:9712",
        "refused",
        'an SSH server answers at other:9712 ("SSH-2.0-OpenSSH_9.2"), no Lightwork program',
        PORT,
    ),
    Wrong(
        "six",
        "unreachable",
        "six has only IPv6 addresses (fd00:3::99), and this machine has no route there",
        "give an IPv4 address of it",
    ),
]
ANOTHER_SECRET = "holds another secret than this one (from LIGHTWORK_SECRET)"
PASTE = "type `lightwork secret --read --save --force` on one machine and paste the secret of the other"
BY_SECRET = [
    *COMMON,
    Wrong("other:9720", "refused", f"other:9720 {ANOTHER_SECRET}", PASTE),
    Wrong("other:9721", "refused", f"other:9721 {ANOTHER_SECRET}", "if that one uses certificates (--certfile), this"),
    older(9722),
]
ANOTHER_CLUSTER = "has a certificate of another cluster than ours (from mine.pem)"
SIGN = "let one authority sign both certificates, or name on each side the other's authority: cafile=, --cafile"
BY_CERTIFICATE = [
    *COMMON,
    Wrong("other:9720", "refused", f"other:9720 {ANOTHER_CLUSTER}: self-signed certificate in certificate chain", SIGN),
    Wrong("other:9721", "refused", f"other:9721 {ANOTHER_CLUSTER}: certificate signature failure", SIGN),
    older(9723),
]

JOINED = """
def where():
    import socket
    return socket.gethostname()

if __name__ == "__main__":
    with lightwork.JobCluster(where, nodes=["a"], listen="*:0") as cluster:
        job = cluster.submit()
        one = cluster.status().attempted[-1]
        say(where=one.address, text=one.text, hint=one.hint)
        say(ran=job())
"""


@pytest.fixture
def farm() -> Iterator[Farm]:
    """One machine where all ports are wrong, one behind a firewall, one that is good."""
    with Farm("client", "good", "other", "gone") as farm:
        client, other = farm["client"], farm["other"]
        client.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
        names = [f"{host.address} {host.name}" for host in farm.hosts.values()]
        client.write_etc("hosts", "\n".join(["127.0.0.1 localhost", *names, "fd00:3::99 six"]) + "\n")
        ours = Authority()
        ours.pair("client").write(client.work, together=True, name="mine")
        ours.pair("older").write(other.work, together=True, name="ours")
        Authority().pair("stranger").write(other.work, together=True, name="theirs")
        started = [
            client.python("-c", NAME_SERVER),
            other.python("-c", TALKS, "9710"),
            other.python("-u", "-m", "http.server", "9711"),
            other.python("-c", TALKS, "9712", "SSH-2.0-OpenSSH_9.2\r\n"),
            other.python("-c", OLDER, "9722", env={"LIGHTWORK_SECRET": farm.secret}),
            other.python("-c", OLDER, "9723", "ours.pem"),
            farm.node("other", "--listen", "*:9720", secret=generate(), ready=""),
            farm.node("other", "--listen", "*:9721", "--certfile", "theirs.pem", secret="", ready=""),
            farm.node("good", ready=""),
        ]
        for program, words in zip(started, ("up", "up", "Serving", "up", "up", "up", *3 * ["listens"]), strict=True):
            program.wait_for(words)
        farm["gone"].deny("tcp dport 9701", outgoing=False)
        yield farm


def test_each_is_told_in_time_with_what_to_do(farm: Farm) -> None:
    by_secret = _client(farm, BY_SECRET, good=True)
    by_certificate = _client(farm, BY_CERTIFICATE, certfile="mine.pem")
    by_secret.wait()
    by_certificate.wait()
    _all_told(by_secret, BY_SECRET)
    _all_told(by_certificate, BY_CERTIFICATE)
    assert by_secret.get("result") == "good"
    for wrong in BY_SECRET:
        assert f"lightwork: warning: {wrong.text}\nhint: " in by_secret.program.err
    together = by_certificate.program.err.partition("1 job cannot start: no node can run it. Tried:\n")[2]
    for wrong in BY_CERTIFICATE:
        assert f"  {wrong.text}\n" in together
        after = together.partition(wrong.text)[2]
        assert wrong.hint in after.partition("hint: ")[2].partition("\n")[0], "the next hint is its own"


def _client(farm: Farm, wrongs: list[Wrong], *, good: bool = False, certfile: str | None = None) -> Client:
    nodes = [wrong.nodes for wrong in wrongs] + ["good"] * good
    places = [wrong.nodes if wrong.nodes == "nobody" or "six" in wrong.nodes else wrong.address for wrong in wrongs]
    told = json.dumps([places, {"nodes": nodes, "certfile": certfile}])
    return farm.client("client", JOB, told, secret="" if certfile else None)


def _all_told(client: Client, wrongs: list[Wrong]) -> None:
    attempted, told = client.get("attempted"), client.get("told")
    print({place: f"{at:.2f} s" for place, at in told.items()})
    assert max(told.values()) < LIMIT_S, f"{PROMISED_S} s are promised"
    for wrong in wrongs:
        at, state, text, hint = attempted[wrong.address]
        assert (state, text) == (wrong.state, wrong.text)
        assert wrong.hint in hint
        assert at < LIMIT_S
    err = client.program.err
    for poor in ("tcp:", "Errno", "Error", "('", "b'", "None"):
        assert poor not in err, err


def test_what_to_type_to_join_is_told_with_the_real_address_and_port() -> None:
    with Farm("client", "a", timers=SHORT) as farm:
        client = farm.client("client", JOINED)
        hint = client.wait_for("hint")
        where = client.get("where")
        assert client.get("text") == f"no node has joined at {where}"
        assert hint == f"on the machine that is to join: `lightwork node --join {where}`"
        assert where.startswith("192.168.3.11:") and not where.endswith(":0")
        client.program.wait_for(f"  no node has joined at {where}\n    hint: {hint}\n")
        farm.node("a", *hint.strip("`").split()[-2:])
        assert client.wait_for("ran") == "a"
        client.wait()
