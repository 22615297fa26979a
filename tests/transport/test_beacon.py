"""Asker and Answerer on the loopback interface, with everything that a network may do to them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator

import pytest

from lightwork.config import timers
from lightwork.config.limits import BEACON_ANSWERS_MAX, BEACON_HOST_ANSWERS_MAX
from lightwork.transport import beacon
from lightwork.transport.beacon import Answerer, Asker
from lightwork.transport.datagrams import Datagrams, host_of, place
from lightwork.transport.interfaces import Interface, interfaces
from lightwork.wire.beacon import NONCE_SIZE, Answer, Question, encode_answer, encode_question
from lightwork.wire.messages import PROTOCOL
from tests.transport.links import LOOPS, run, until

each_loop = pytest.mark.parametrize("loop", LOOPS)
LOOPBACK = [one for one in interfaces() if one.address == "127.0.0.1"]
GONE = Interface("eth7", 77, "192.0.2.77", "192.0.2.255", False)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> list[Interface]:
    """Nothing leaves this machine; a test may add cards to the list."""
    here = list(LOOPBACK)
    monkeypatch.setattr(beacon, "interfaces", lambda: list(here))
    return here


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.asynccontextmanager
async def answering(port: int, *told: int, host: str = "") -> AsyncIterator[list[Answerer]]:
    answerers = [Answerer(one, port=port, host=host) for one in told]
    for answerer in answerers:
        await answerer.start()
    try:
        yield answerers
    finally:
        for answerer in answerers:
            answerer.close()


@contextlib.asynccontextmanager
async def asking(port: int) -> AsyncIterator[tuple[Asker, list[tuple[str, int, int]]]]:
    heard: list[tuple[str, int, int]] = []
    asker = Asker(lambda *answer: heard.append(answer), port=port)
    await asker.start()
    try:
        yield asker, heard
    finally:
        asker.close()


@each_loop
def test_all_nodes_of_a_machine_are_found(loop: str) -> None:
    async def work() -> None:
        port = free_port()
        async with answering(port, 9701, 9702, 9703) as answerers, asking(port) as (asker, heard):
            asker.ask()
            await until(lambda: len(heard) >= 3)
            assert sorted(heard) == [("127.0.0.1", told, PROTOCOL) for told in (9701, 9702, 9703)]
            assert [answerer.problems for answerer in answerers] == [[], [], []]
            heard.clear()
            asker.ask()
            await until(lambda: len(heard) >= 3)
            assert len(set(heard)) == 3

    run(loop, work)


def test_two_askers_at_once_hear_everybody() -> None:
    async def work() -> None:
        port = free_port()
        async with (
            answering(port, 9701, 9702),
            asking(port) as (one, heard_by_one),
            asking(port) as (two, heard_by_two),
        ):
            one.ask()
            two.ask()
            await until(lambda: len(heard_by_one) == len(heard_by_two) == 2)
            assert sorted(heard_by_one) == sorted(heard_by_two)

    run("asyncio", work)


def test_what_is_lost_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "ASK_AGAIN_S", 1.0)

    async def work() -> None:
        port = free_port()
        async with asking(port) as (asker, heard):
            asker.ask()
            await asyncio.sleep(0.1)  # nobody was there yet
            async with answering(port, 9701):
                await until(lambda: bool(heard))
            assert heard == [("127.0.0.1", 9701, PROTOCOL)]

    run("asyncio", work)


def test_single_addresses_are_asked_too(alone: list[Interface]) -> None:
    async def work() -> None:
        port = free_port()
        async with answering(port, 9701), asking(port) as (asker, heard):
            alone[:] = []
            asker.ask(["127.0.0.1", "lab1", "fe80::1%nosuchcard"])
            await until(lambda: bool(heard))
            assert heard == [("127.0.0.1", 9701, PROTOCOL)]
            said = " ".join(asker.problems)
            assert "lab1 cannot be asked" in said
            assert "no network card 'nosuchcard'" in said
            assert "this machine is on no network" in said

    run("asyncio", work)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
@each_loop
def test_over_ipv6(alone: list[Interface], loop: str) -> None:
    async def work() -> None:
        port = free_port()
        alone[:] = [one for one in interfaces() if one.address == "::1"]
        if not alone:
            pytest.skip("no IPv6 on the loopback interface")
        async with answering(port, 9701), asking(port) as (asker, heard):
            asker.ask()
            await until(lambda: bool(heard))
            assert heard == [("::1", 9701, PROTOCOL)]

    run(loop, work)


def test_who_listens_at_one_address_answers_from_there() -> None:
    async def work() -> None:
        port = free_port()
        async with answering(port, 9701, host="127.0.0.5") as (answerer,), asking(port) as (asker, heard):
            asker.ask()
            await until(lambda: bool(heard))
            assert heard == [("127.0.0.5", 9701, PROTOCOL)]
            assert answerer.problems == []
        async with answering(port, 9701, host="192.0.2.99") as (answerer,), asking(port) as (asker, heard):
            assert "not answered from 192.0.2.99" in answerer.problems[0]
            asker.ask()
            await asyncio.sleep(0.2)
            assert heard == [], "it cannot be dialled at any other address"

    run("asyncio", work)


def test_a_taken_port_is_said_and_noticed_when_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LOOK_INTERFACES_S", 0.05)

    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
            taker.bind(("0.0.0.0", 0))
            port = taker.getsockname()[1]
            answerer = Answerer(9701, port=port)
            await answerer.start()
            (sentence,) = answerer.problems
            assert sentence.startswith(f"questions who is there are not heard at UDP port {port} (IPv4): ")
            taker.close()
            await until(lambda: answerer.problems == [])
            async with asking(port) as (asker, heard):
                asker.ask()
                await until(lambda: bool(heard))
            answerer.close()

    run("asyncio", work)


def test_cards_that_come_and_go_are_said_once(alone: list[Interface], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LOOK_INTERFACES_S", 0.05)

    async def work() -> None:
        port = free_port()
        async with answering(port, 9701) as (answerer,), asking(port) as (asker, heard):
            alone.append(GONE)
            for _ in range(3):
                heard.clear()
                asker.ask()
                await until(lambda: bool(heard))
            (sentence,) = asker.problems
            assert sentence.startswith("the question who is there could not be sent on eth7 (192.0.2.77): ")
            await until(lambda: bool(answerer.problems))
            (sentence,) = answerer.problems
            assert sentence.startswith("multicasts are not heard on eth7 (192.0.2.77): ")
            alone.remove(GONE)
            await until(lambda: not answerer.problems)
            asker.ask()
            await until(lambda: not [one for one in asker.problems if "eth7" in one])

    run("asyncio", work)


def test_a_firewall_is_called_one(alone: list[Interface], monkeypatch: pytest.MonkeyPatch) -> None:
    def send(self: Datagrams, data: bytes, where: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    async def work() -> None:
        port = free_port()
        alone[:] = [one._replace(loopback=False) for one in LOOPBACK]
        async with asking(port) as (asker, _):
            monkeypatch.setattr(Datagrams, "send", send)
            asker.ask()
            await until(lambda: bool(asker.problems))
            assert asker.problems[0].endswith("on lo (127.0.0.1): a firewall of this machine forbids it")
            monkeypatch.undo()
            monkeypatch.setattr(beacon, "interfaces", lambda: alone)
            asker.ask()
            await until(lambda: not asker.problems)

    run("asyncio", work)


@each_loop
def test_noise_and_forged_answers_change_nothing(loop: str) -> None:
    async def work() -> None:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            async with answering(port, 9701), asking(port) as (asker, heard):
                asker_at = next(iter(asker._open.values()))._sock.getsockname()
                forged = encode_answer(Answer(os.urandom(NONCE_SIZE), os.urandom(8), 6666))
                for n in range(2000):
                    stranger.sendto(os.urandom(n % 700), ("127.0.0.1", port))
                    stranger.sendto(os.urandom(n % 700), asker_at)
                    stranger.sendto(forged, asker_at)
                    if n % 50 == 0:
                        await asyncio.sleep(0)
                stranger.sendto(b"", ("127.0.0.1", port))
                asker.ask()
                await until(lambda: bool(heard))
                assert heard == [("127.0.0.1", 9701, PROTOCOL)]

    run(loop, work)


def test_a_flood_of_questions_gets_few_answers_and_others_theirs() -> None:
    async def work() -> None:
        port = free_port()
        with contextlib.ExitStack() as stack:
            loud = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            loud.bind(("127.0.0.9", 0))
            loud.setblocking(False)
            async with answering(port, 9701) as (answerer,), asking(port) as (asker, heard):
                loop = asyncio.get_running_loop()
                began = loop.time()
                sent = 0
                while loop.time() - began < 0.5 or sent <= 3 * BEACON_ANSWERS_MAX:
                    loud.sendto(encode_question(Question(os.urandom(NONCE_SIZE))), ("127.0.0.1", port))
                    sent += 1
                    await asyncio.sleep(0)
                asker.ask()
                await until(lambda: bool(heard))
                answers = 0
                with contextlib.suppress(BlockingIOError):
                    while loud.recv(100):
                        answers += 1
                windows = int(loop.time() - began) + 2
                assert sent > 3 * BEACON_ANSWERS_MAX
                assert 0 < answers <= BEACON_HOST_ANSWERS_MAX * windows
                assert "more questions" in answerer.problems[0]

    run("asyncio", work)


def test_a_broken_socket_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, the refusal of a datagram that was sent ends the reading of others."""
    monkeypatch.setattr(timers, "LOOK_INTERFACES_S", 0.05)

    async def work() -> None:
        port = free_port()
        async with answering(port, 9701) as (answerer,), asking(port) as (asker, heard):
            for datagrams in (*answerer._open.values(), *asker._open.values()):
                datagrams.error_received(ConnectionResetError())
            await until(lambda: not any(one.broken for one in answerer._open.values()))
            asker.ask()
            await until(lambda: bool(heard))

    run("asyncio", work)


def test_numeric_hosts() -> None:
    assert place("192.0.2.1", 9) == ("192.0.2.1", 9)
    assert place("fd00::1", 9) == ("fd00::1", 9, 0, 0)
    name = socket.if_indextoname(1)
    assert place(f"fe80::1%{name}", 9) == place("fe80::1%1", 9) == ("fe80::1", 9, 0, 1)
    with pytest.raises(ValueError):
        place("lab1", 9)
    assert host_of(("192.0.2.1", 9)) == "192.0.2.1"
    assert host_of(("fd00::1", 9, 0, 0)) == "fd00::1"
    assert host_of(("fe80::1%lo", 9, 0, 1)) == f"fe80::1%{name}"
    assert host_of(("fe80::1", 9, 0, 99999)) == "fe80::1%99999"
