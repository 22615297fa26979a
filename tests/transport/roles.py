"""Two credentials, who dials a listener that has both, and what became of it."""

from __future__ import annotations

import asyncio

from lightwork.model.errors import LightworkError, LinkBroken
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.transport import dial, endpoint
from lightwork.transport.link import Link
from lightwork.transport.tls import Encryption
from lightwork.transport.tls_roles import TwoCredentials
from lightwork.wire.messages import PROTOCOL, Hello
from tests.security.certificates import Made
from tests.transport.links import SCHEDULER, Recorder, run, until

NODE_SECRET, CLUSTER_SECRET = secret.generate(), secret.generate()


def by_secret(text: str, origin: str) -> Credential:
    return Credential(secrets=(text,), origin=origin)


NODES, CLUSTER = by_secret(NODE_SECRET, "nodes.secret"), by_secret(CLUSTER_SECRET, "cluster.secret")
BOTH = TwoCredentials(NODES, CLUSTER)
OURS = Encryption(CLUSTER)
ROLES = {"node": NODES, "relay": NODES, "client": CLUSTER, "watcher": CLUSTER}


class Met:
    """What became of one try."""

    def __init__(self) -> None:
        self.error: LightworkError | None = None
        self.server = Recorder()

    @property
    def refused(self) -> list[LightworkError]:
        """What the listener tells its owner."""
        return [error for error in self.server.refused if not isinstance(error, LinkBroken)]


async def _dialled(way: str, address: str, hello: Hello, cipher: Encryption) -> Link:
    if way == "thread":
        return await asyncio.to_thread(dial.connect, address, hello, encryption=cipher)
    return await endpoint.connect(address, Recorder(), hello, encryption=cipher)


def meeting(way: str, role: str, ours: Encryption, theirs: Encryption = BOTH) -> Met:
    met = Met()

    async def work() -> None:
        listener = await endpoint.listen("tcp:127.0.0.1:0", met.server, SCHEDULER, encryption=theirs)
        try:
            link = await _dialled(way, listener.address, Hello(PROTOCOL, role, "x"), ours)
            await until(lambda: met.server.links)
            link.abort()
        except LightworkError as error:
            met.error = error
            await until(lambda: met.refused)
        listener.close()

    run("asyncio", work)
    return met


def own(made: Made, authorities: str, origin: str) -> Credential:
    return Credential(certificate=made.chain, key=made.key_pem(), authorities=authorities, origin=origin)
