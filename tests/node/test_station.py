"""A node program and schedulers that dial it: claims, broken links, leases, goodbyes."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from lightwork.model.errors import AlreadyConnected, NodeBusy, PeerError
from lightwork.security.credential import Credential
from lightwork.security.secret import generate
from lightwork.transport.endpoint import connect
from lightwork.transport.link import Receiver
from lightwork.transport.tls import Encryption
from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import PROTOCOL, Hello
from tests.node.scheduler_double import alive, arguments, function, pids_of, setup_of
from tests.node.station_double import RemoteScheduler, station, until

TLS = "tcp:127.0.0.1:0"


@pytest.fixture(scope="module")
def encryption():
    return Encryption(Credential(secrets=(generate(),), origin="the test"))


@pytest.fixture(params=["tls", "unix"])
def way(request, tmp_path, encryption):
    if request.param == "unix":
        return f"unix:{tmp_path}/node.sock", None
    return TLS, encryption


def double(n):
    return 2 * n


def nap(seconds, result=None):
    import time

    time.sleep(seconds)
    return seconds if result is None else result


def test_a_claim_runs_jobs_and_leaves_nothing(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, log):
            one = RemoteScheduler()
            await one.dial(address, way[1])
            assert one.resumed == [False]
            ready = one.readies[0]
            assert (ready.name, ready.slots, ready.shares_memory) == ("n", 2, False)
            assert len(ready.identity) == 32
            assert ready.claim
            computation = function(double)
            one.prepare(computation)
            ends = await one.run(computation, *[(n,) for n in range(500)])
            assert [end.value for end in ends] == [2 * n for n in range(500)]
            pids = pids_of(node.agent)
            one.leave()
            await until(lambda: "free again" in log.text)
            assert not [pid for pid in pids if alive(pid)]
            for place in ("computations", "jobs", "spool"):
                assert os.listdir(tmp_path / "n" / place) == []
            assert "claimed by cluster-s1 of u@h" in log.text

            two = RemoteScheduler("s2")
            await two.dial(address, way[1])
            assert two.readies[0].claim != ready.claim
            assert two.readies[0].identity == ready.identity
            two.prepare(computation)
            assert (await two.run(computation, (4,)))[0].value == 8

    asyncio.run(story())


def test_another_scheduler_waits_in_line(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (_node, address, log):
            one, two, three = (RemoteScheduler(name) for name in ("s1", "s2", "s3"))
            await one.dial(address, way[1])
            with pytest.raises(NodeBusy, match=r"in use by cluster-s1 of u@h since \d\d:\d\d:\d\d\n"):
                await two.dial(address, way[1])
            with pytest.raises(NodeBusy, match="1 other before you"):
                await three.dial(address, way[1])
            with pytest.raises(AlreadyConnected):
                await RemoteScheduler("s1").dial(address, way[1])
            assert one.connected
            one.leave()
            await until(lambda: "free again" in log.text)
            with pytest.raises(NodeBusy, match="kept for cluster-s2"):
                await three.dial(address, way[1])
            await two.dial(address, way[1])
            assert two.ready is not None
            assert log.text.count("cluster-s2 of u@h waits") == 1

    asyncio.run(story())


def test_only_schedulers_come_in(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (_node, address, _log):
            with pytest.raises(PeerError, match="works for schedulers, not for a client"):
                await connect(address, Receiver(), Hello(PROTOCOL, "client", "c"), encryption=way[1])

    asyncio.run(story())


def test_a_link_that_breaks_loses_and_doubles_nothing(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, _log):
            one = RemoteScheduler(beat_s=0.2)
            await one.dial(address, way[1])
            computation = function(nap)
            one.prepare(computation)
            tokens = one.assign(computation, [arguments(0.002, n) for n in range(1500)], batch=50)
            for _ in range(8):
                done = len(one.ended)
                await one.until(lambda: len(one.ended) > done + 50)
                one.cut()
                tokens += one.assign(
                    computation, [arguments(0.002, n) for n in range(50)]
                )  # said while there is no link
                await asyncio.sleep(0.05)
                await one.dial(address, way[1])
            await one.all_ended(tokens, 60)
            assert one.resumed == [False] + [True] * 8
            assert not one.double_ends
            assert not one.died
            assert not one.returned
            assert len({ready.claim for ready in one.readies}) == 1
            await one.until(lambda: len(node.claim.outbox) == 0)
            first = [beat for beat in one.beats if beat.held]
            assert len(first) <= len(one.readies)

    asyncio.run(story())


def test_jobs_go_on_while_there_is_no_link(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, log):
            one = RemoteScheduler()
            await one.dial(address, way[1])
            computation = function(nap)
            one.prepare(computation)
            tokens = one.assign(computation, [arguments(0.5)])
            await one.until(lambda: one.started)
            one.cut()
            await until(lambda: not node.agent.core.tokens(), 5)
            await one.dial(address, way[1])
            await one.all_ended(tokens)
            assert "is lost" in log.text
            assert "again" in log.text

    asyncio.run(story())


def test_a_new_link_takes_the_place_of_a_silent_one(tmp_path, way, monkeypatch):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, _log):
            one = RemoteScheduler(beat_s=0.05)
            await one.dial(address, way[1])
            old = node.claim.link
            monkeypatch.setattr(node.claim, "sound", lambda: False)
            await one.dial(address, way[1])
            assert one.resumed == [False, True]
            assert node.claim.link is not old
            assert not old.up
            computation = function(double)
            one.prepare(computation)
            assert (await one.run(computation, (4,)))[0].value == 8

    asyncio.run(story())


def test_a_scheduler_that_has_given_us_up_finds_nothing_of_before(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, log):
            one = RemoteScheduler()
            await one.dial(address, way[1])
            computation = function(nap)
            one.prepare(computation)
            old = one.assign(computation, [arguments(60), arguments(60), arguments(0)])
            await one.until(lambda: len(one.started) == 2)
            pids = pids_of(node.agent)
            one.cut()
            one.forgetful = True
            one.claim = "?"
            one.prepare(computation)  # lost with the old claim
            await one.dial(address, way[1])
            one.prepare(computation)
            new = one.assign(computation, [arguments(0, n) for n in range(5)])
            ends = await one.all_ended(new)
            assert [end.value for end in ends] == [0, 1, 2, 3, 4]
            assert not [pid for pid in pids if alive(pid)]
            assert one.resumed == [False, False]
            assert not set(old) & set(one.ended)
            assert not one.died
            assert "given it up" in log.text
            one.cut()
            one.forgetful = False
            await one.dial(address, way[1])
            assert one.resumed == [False, False, True]
            assert (await one.run(computation, (0, 7)))[0].value == 7

    asyncio.run(story())


def niceness():
    import os

    return os.nice(0)


@pytest.mark.parametrize("portable", [False, True])
def test_jobs_are_nice_and_a_portable_node_ends_its_claims_too(tmp_path, portable):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock", portable=portable, nice=7) as (
            node,
            address,
            log,
        ):
            one = RemoteScheduler(lease_s=1.0, beat_s=0.1)
            await one.dial(address)
            computation = function(niceness)
            one.prepare(computation)
            assert (await one.run(computation, ()))[0].value == max(7, os.nice(0))
            computation = function(nap)
            one.prepare(computation)
            one.assign(computation, [arguments(60), arguments(60)])
            await one.until(lambda: len(one.started) == 2)
            pids = pids_of(node.agent)
            one.cut()
            await until(lambda: "free again" in log.text)
            assert not [pid for pid in pids if alive(pid)]
            assert os.getpriority(os.PRIO_PROCESS, 0) == os.nice(0)

    asyncio.run(story())


def leave_mark(path):
    open(path, "w").close()


def test_the_lease_over_kills_all(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, log):
            one = RemoteScheduler(lease_s=1.0, beat_s=0.1)
            await one.dial(address, way[1])
            computation = function(nap, cleanup=setup_of(leave_mark, str(tmp_path / "cleaned")))
            one.prepare(computation)
            one.assign(computation, [arguments(60), arguments(60)])
            await one.until(lambda: len(one.started) == 2)
            pids = pids_of(node.agent)
            claim = node.claim.number
            began = time.monotonic()
            one.cut()
            with pytest.raises(NodeBusy):
                await RemoteScheduler("s2").dial(address, way[1])
            await until(lambda: "free again" in log.text)
            assert 0.5 < time.monotonic() - began < 6
            assert "was answered" in log.text
            assert not [pid for pid in pids if alive(pid)]
            assert os.listdir(tmp_path / "n" / "computations") == []
            assert not (tmp_path / "cleaned").exists()
            two = RemoteScheduler("s2")
            await two.dial(address, way[1])  # the first in line
            two.leave()
            await until(lambda: log.text.count("free again") == 2)
            await one.dial(address, way[1])
            assert one.resumed == [False, False]
            assert one.claim != claim

    asyncio.run(story())


def test_a_new_agent_that_cannot_be_had_is_tried_again(tmp_path, monkeypatch):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, log):
            one = RemoteScheduler()
            await one.dial(address)
            real, failures = node._agents.begin, [OSError("no processes"), RuntimeError("a fault")]

            async def begin(on_failure):
                if failures:
                    raise failures.pop(0)
                await real(on_failure)

            monkeypatch.setattr(node._agents, "begin", begin)
            monkeypatch.setattr("lightwork.node.service.station.AGAIN_S", 0.1)
            one.leave()
            await until(lambda: "OSError: no processes" in log.text)
            with pytest.raises(NodeBusy, match="still being cleared"):
                await RemoteScheduler("s2").dial(address)
            await until(lambda: "free again" in log.text)
            await RemoteScheduler("s2").dial(address)

    asyncio.run(story())


def test_a_link_that_stays_but_is_silent_is_given_up(tmp_path):
    """The other side's host is gone without a word: only silence tells."""

    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, log):
            one = RemoteScheduler(lease_s=5.0, beat_s=0.1)
            await one.dial(address)
            computation = function(double)
            one.prepare(computation)
            await one.run(computation, (1,))
            one._line._transport.pause_reading()  # our end reads nothing, and so answers nothing
            await until(lambda: "nothing heard from cluster-s1" in log.text, 5)
            await until(lambda: node.claim.link is None)
            one._line._transport.resume_reading()
            await until(lambda: one.lost)
            await one.dial(address)
            assert one.resumed == [False, True]

    asyncio.run(story())


def test_a_slow_line_is_not_a_silent_one(tmp_path):
    """A message that takes longer than five beats to come."""
    from lightwork.wire.messages import Assign, JobOptions

    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, log):
            one = RemoteScheduler(lease_s=30.0, beat_s=0.1)
            await one.dial(address)
            data = b"".join(encode_frame(Assign("s", "none", [1], [50_000], JobOptions()), bytes(50_000)))
            line = one._line
            await one.until(lambda: one.beats)
            line.pause_writing()  # nothing may come between
            for start in range(0, 40_000, 2000):
                line._transport.write(data[start : start + 2000])
                await asyncio.sleep(0.1)
            assert node.claim.link is not None, log.text
            line._transport.write(data[40_000:])
            line.resume_writing()
            await one.until(lambda: 1 in one.returned)

    asyncio.run(story())


def test_an_agent_that_fails_ends_the_claim_not_the_node(tmp_path, way):
    async def story():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with station(tmp_path / "n", *way) as (node, address, log):
            one = RemoteScheduler()
            await one.dial(address, way[1])
            claim = one.claim
            node.agent.fail(RuntimeError("a fault"), "a test")
            await until(lambda: one.lost and "free again" in log.text)
            await one.dial(address, way[1])
            assert one.claim != claim
            computation = function(double)
            one.prepare(computation)
            assert (await one.run(computation, (4,)))[0].value == 8

    asyncio.run(story())


def test_an_agent_killed_within_a_claim_tells_its_scheduler_later(tmp_path):
    """The results of a station that was killed lie in its directory: the next one reports them, to the same one."""
    from lightwork.node.service.small_files import write_text
    from lightwork.wire.messages import Ended

    async def story(session):
        (tmp_path / "n").mkdir(mode=0o700, exist_ok=True)
        write_text(tmp_path / "n" / "claim", "s1")
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            node.agent.news = [(Ended([77], [0], [1], [1], [1]), b"x")]
            one = RemoteScheduler(session)
            await one.dial(address)
            await one.until(lambda: one.beats)
            return set(one.ended)

    assert asyncio.run(story("s1")) == {77}
    assert asyncio.run(story("s2")) == set()


def test_slots_are_set_and_what_is_here_is_told(tmp_path):
    from lightwork.wire.messages import AskHeld, HeldNow, SetSlots

    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, _log):
            one = RemoteScheduler()
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            one.link.send(SetSlots(1))
            tokens = one.assign(computation, [arguments(60)] * 3)
            await one.until(lambda: one.started)
            one.link.send(AskHeld(5))
            await one.until(lambda: one.others)
            answer = one.others[-1]
            assert isinstance(answer, HeldNow)
            assert answer.number == 5
            assert answer.running == tokens[:1]
            assert sorted(answer.held) == tokens[1:]
            one.cut()
            await one.dial(address)
            assert [ready.resized for ready in one.readies] == [False, True]
            one.link.send(SetSlots(3))
            await one.until(lambda: len(one.started) == 3)

    asyncio.run(story())


def read_beside():
    return open("extra.txt").read()


def test_a_file_is_placed_beside_the_computation(tmp_path):
    import hashlib

    from lightwork.wire.messages import File, FilePlaced, PlaceFile

    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, _log):
            one = RemoteScheduler()
            await one.dial(address)
            computation = function(read_beside)
            one.prepare(computation)
            data = b"some text"
            digest = hashlib.blake2b(data, digest_size=16).hexdigest()
            one.blobs[digest] = data
            one.link.send(PlaceFile(1, "s", computation.digest, File("extra.txt", digest, len(data))))
            one.link.send(PlaceFile(2, "s", computation.digest, File("../extra.txt", digest, len(data))))
            one.link.send(PlaceFile(3, "s", "nothing", File("extra.txt", digest, len(data))))
            await one.until(lambda: len(one.others) == 3)
            answers = {answer.number: answer.error for answer in one.others if isinstance(answer, FilePlaced)}
            assert answers[1] == ""
            assert "not a path" in answers[2]
            assert "not prepared" in answers[3]
            assert (await one.run(computation, ()))[0].value == "some text"

    asyncio.run(story())
