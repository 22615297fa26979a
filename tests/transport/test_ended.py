"""A link that has ended is gone at once, buffers and all: crowds of strangers do not wait for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from lightwork.security.credential import Credential
from lightwork.security.secret import generate
from lightwork.transport import acceptor, endpoint
from lightwork.transport.address import split_host_port
from lightwork.transport.link import Receiver
from lightwork.transport.tls import Encryption
from lightwork.wire.messages import PROTOCOL, Hello


class Told(Receiver):
    def __init__(self, refused):
        self._refused = refused

    def link_refused(self, address, error):
        self._refused.set()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x00\x05", b"noise"])
def test_what_a_stranger_leaves(said, monkeypatch):
    left: weakref.WeakSet[object] = weakref.WeakSet()
    take = acceptor.Acceptor._take

    async def noting(self, connection, address):
        make = self._make

        def noted():
            link = make()
            left.update((link, link._talk))
            return link

        self._make = noted
        await take(self, connection, address)
        self._make = make

    async def story():
        encryption = Encryption(Credential(secrets=(generate(),), origin="a test"))
        refused = asyncio.Event()
        receiver = Told(refused)
        listener = await endpoint.listen(
            "tcp:127.0.0.1:0", receiver, Hello(PROTOCOL, "node", "a"), encryption=encryption
        )
        _, writer = await asyncio.open_connection(*split_host_port(listener.address.removeprefix("tcp:")))
        writer.write(said)
        while not left:
            await asyncio.sleep(0.001)
        writer.close()
        await asyncio.wait_for(refused.wait(), 10)
        for _ in range(100):
            await asyncio.sleep(0.001)
            if not left:
                break
        listener.close()
        return list(left)

    monkeypatch.setattr(acceptor.Acceptor, "_take", noting)
    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(story()) == []
    finally:
        gc.enable()
