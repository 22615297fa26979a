"""Timers that several rooms keep: each says the same."""

from __future__ import annotations

import asyncio
import io
from types import SimpleNamespace
from typing import Any

import pytest

from lightwork.config import timers
from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import NodeBusy
from lightwork.relay.service import nodes
from lightwork.scheduler.core.prospects import SECOND_NS, Prospect, Stage
from lightwork.scheduler.service import program_nodes
from lightwork.wire.messages import PROTOCOL, Hello


def test_who_waits_in_the_line_of_a_node_keeps_its_place():
    assert timers.LINE_AGAIN_S + timers.CONNECT_S < timers.LINE_S, "also if one try takes as long as it may"


@pytest.mark.parametrize("first", [True, False])
def test_all_who_wait_in_the_line_of_a_node_ask_as_often(monkeypatch, first):
    async def busy(*args: Any, **more: Any) -> None:
        raise NodeBusy("in use")

    monkeypatch.setattr(timers, "LINE_AGAIN_S", 0.7)
    for module in (nodes, program_nodes):
        monkeypatch.setattr(module, "connect", busy)
    prospect = Prospect("tcp:n:1", listed=True)
    prospect.tries = 0 if first else 1000
    prospect.failed(Stage.BUSY, "in use", "", now_ns=0)
    assert prospect.next_ns == int(0.7 * SECOND_NS)

    words = SimpleNamespace(not_reached=lambda *args, **more: None)
    relay: Any = SimpleNamespace(greeting=lambda: None, check_node=None, words=words)
    dialling = nodes.Dialling(relay, nodes.Wanted([], discovery=False), None)
    assert asyncio.run(dialling._try("tcp:n:1", named=True, first=first)) == 0.7

    log, receiver = OwnerLog(io.StringIO()), SimpleNamespace()
    hello = Hello(PROTOCOL, "scheduler", "s")
    hosting = SimpleNamespace(removed_by=lambda address: "", may_work=None)
    listed = program_nodes.ListedNodes(["tcp:n:1"], receiver, hello, None, log, hosting)  # type: ignore[arg-type]
    [keeper] = listed._keepers
    assert asyncio.run(keeper._try(first=first)) == 0.7
