"""Nodes under a durable scheduler: adopted with all that runs, orphaned, and owing every end until it is settled."""

from __future__ import annotations

import asyncio
import os

import pytest

from lightwork.config import limits, timers
from lightwork.model.errors import NodeBusy, PeerError
from lightwork.node.service.station_drain import drain
from lightwork.wire.outcome import APART, CANCELLED, RETURNED
from tests.node.durable_double import ENDED, HELD, STARTED, DurableScheduler
from tests.node.lone import value_of
from tests.node.scheduler_double import alive, arguments, function, setup_of
from tests.node.station_double import RemoteScheduler, station, until
from tests.node.test_station import nap


def kept_files(directory):
    return sorted(path.name for path in (directory / "kept").glob("*/*.kept"))


@pytest.mark.parametrize("portable", [False, True])
def test_a_scheduler_that_was_restarted_finds_everything(tmp_path, portable):
    async def story():
        where = f"unix:{tmp_path}/node.sock"
        async with station(tmp_path / "n", where, portable=portable) as (node, address, _log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            assert await one.truth() == {}
            computation = function(nap)
            one.prepare(computation)
            done = one.assign(computation, [arguments(0, n) for n in range(20)], batch=7)
            await one.all_ended(done)
            long = one.assign(computation, [arguments(1.5, n) for n in range(2)])
            await one.until(lambda: len(one.started) == 2)
            held = one.assign(computation, [arguments(0, n) for n in range(3)])
            one.settle(done[:5])
            await until(lambda: node.agent.custody.keeping.count() == 15)
            one.cut()
            await asyncio.sleep(0.2)

            two = one.next_life(settles=True)
            await two.dial(address)
            truth = await two.truth()
            assert {token: row[2] for token, row in truth.items()} == {
                **dict.fromkeys(done[5:], ENDED), **dict.fromkeys(long, STARTED), **dict.fromkeys(held, HELD),
            }  # fmt: skip
            assert {row[:2] for row in truth.values()} == {("s", 1001 + n) for n in range(5, 25)}
            ages = dict(zip(two.truths[-1].tokens, two.truths[-1].ages_ns, strict=True))
            assert all(ages[token] > 100_000_000 for token in long)
            await two.all_ended(done[5:] + long + held)
            assert [two.ended[token].value for token in done[5:]] == list(range(5, 20))
            assert sorted(two.told) == sorted(done[5:] + long + held)
            assert not two.died
            assert not two.returned
            await until(lambda: node.agent.custody.keeping.count() == 0)
            two.prepare(computation)
            assert (await two.run(computation, (0, 7)))[0].value == 7
            assert two.resumed == [False]

    asyncio.run(story())


def test_a_welcome_that_is_lost_leads_to_another_adoption(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, _log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            done = one.assign(computation, [arguments(0, n) for n in range(3)])
            await one.all_ended(done)
            first = one.claim
            one.cut()
            two = one.next_life()
            two.deaf = True
            await two.dial(address)
            two.cut()
            two.deaf = False
            await two.dial(address)
            assert two.readies[0].claim == first
            assert two.readies[1].claim not in ("", first)
            truth = await two.truth()
            assert {row[2] for row in truth.values()} == {ENDED}
            await two.all_ended(done)

    asyncio.run(story())


def test_an_earlier_life_is_refused(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, log):
            old = DurableScheduler(epoch=3)
            await old.dial(address)
            new = old.next_life()
            await new.dial(address)  # at once: nobody waits until the old link is known to be dead
            await old.until(lambda: old.lost)
            await new.truth()
            with pytest.raises(PeerError, match="later life of this scheduler: 4"):
                await old.dial(address)
            new.leave()
            await until(lambda: "free again" in log.text)
            with pytest.raises(PeerError, match="later life"):
                await old.dial(address)
            assert "life 3 of it, and life 4 was here" in log.text
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, _log):
            with pytest.raises(PeerError, match="later life"):
                await DurableScheduler(epoch=3).dial(address)
            await DurableScheduler(epoch=4).dial(address)

    asyncio.run(story())


@pytest.fixture
def soon(monkeypatch):
    """Orphans live for four seconds."""
    monkeypatch.setattr(timers, "ORPHAN_S", 4.0)


def test_orphans_run_on_and_then_the_node_is_free(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, log):
            one = DurableScheduler(lease_s=0.6, beat_s=0.1)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            long = one.assign(computation, [arguments(2.5, n) for n in range(2)])
            await one.until(lambda: len(one.started) == 2)
            held = one.assign(computation, [arguments(0, n) for n in range(5)])
            await until(lambda: len(node.agent.core.tokens()) == 7)
            one.cut()
            await until(lambda: "cannot be reached: 2 jobs of it may run on for 40 min" in log.text)
            await until(lambda: len(node.agent.core.tokens()) == 2)
            other = RemoteScheduler("s2", lease_s=5, beat_s=0.2)
            busy = r"still runs 2 jobs of cluster-d1 of u@h, unreachable since \d\d:\d\d:\d\d\n"
            with pytest.raises(NodeBusy, match=busy):
                await other.dial(address)
            await until(lambda: "free again" in log.text)
            assert "none of its jobs runs here any more" in log.text
            await other.dial(address)
            other.prepare(computation)
            theirs = other.assign(computation, [arguments(1.0, 5)])
            with pytest.raises(NodeBusy, match="in use by cluster-s2"):
                await one.dial(address)
            assert (await other.all_ended(theirs))[0].value == 5
            other.leave()
            await until(lambda: log.text.count("free again") == 2)
            two = one.next_life(settles=False)
            await two.dial(address)
            truth = await two.truth()
            assert {token: row[2] for token, row in truth.items()} == dict.fromkeys(long, ENDED)
            assert [end.value for end in await two.all_ended(long)] == [0, 1]
            assert not set(held) & set(two.ended)
            assert kept_files(tmp_path / "n")
            two.settle(long)
            await until(lambda: node.agent.custody.empty)

    asyncio.run(story())


def test_orphans_whose_time_is_over_are_killed_and_that_is_told(tmp_path, soon):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, log):
            one = DurableScheduler(lease_s=0.6, beat_s=0.1)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            long = one.assign(computation, [arguments(60, n) for n in range(2)])
            await one.until(lambda: len(one.started) == 2)
            pids = [link.pid for link in node.agent.hands.crew.links.values()]
            one.cut()
            await until(lambda: "cannot be reached" in log.text)
            assert all(alive(pid) for pid in pids)
            await until(lambda: "free again" in log.text)
            assert "it could not be reached for 4 s, and 2 jobs of it still ran" in log.text
            assert not [pid for pid in pids if alive(pid)]
            two = one.next_life()
            await two.dial(address)
            await two.until(lambda: len(two.died) == 2)
            assert set(two.died) == set(long)
            assert not any(blame for blame, _ in two.died.values())

    asyncio.run(story())


def test_orphans_are_adopted(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, log):
            one = DurableScheduler(lease_s=0.6, beat_s=0.1)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            long = one.assign(computation, [arguments(3, n) for n in range(2)])
            await one.until(lambda: len(one.started) == 2)
            one.cut()
            await until(lambda: "cannot be reached" in log.text)
            claim = one.claim
            await one.dial(address)  # the same life: it does not know yet that our lease is over
            assert one.resumed == [False, False]
            assert one.claim != claim
            assert {row[2] for row in (await one.truth(2)).values()} == {STARTED}
            assert "goes on with its jobs" in log.text
            more = one.assign(computation, [arguments(0, 9)])
            assert [end.value for end in await one.all_ended(long + more)] == [0, 1, 9]
            assert not one.died

    asyncio.run(story())


def test_what_is_not_wanted_any_more_is_killed_with_all_below_it(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            one = DurableScheduler()
            await one.dial(address)
            computation = function(stubborn)
            one.prepare(computation)
            (token,) = one.assign(computation, [arguments(str(tmp_path / "pids"))])
            await until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
            pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
            one.cut()
            two = one.next_life()
            await two.dial(address)
            await two.truth()
            two.stop([token], now=True)
            await two.all_ended([token])
            assert two.ended[token].kind == CANCELLED
            await until(lambda: not [pid for pid in pids if alive(pid)])
            await until(lambda: node.agent.custody.empty)

    asyncio.run(story())


def stubborn(path):
    import os
    import signal
    import subprocess
    import time

    child = subprocess.Popen(["setsid", "sleep", "61"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {child.pid}\n")
    time.sleep(60)


def large(size):
    return b"x" * size


def test_large_values_are_files_from_the_start(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            computation = function(large)
            one.prepare(computation)
            sizes = [300_000, 3_000_000, 1000]
            tokens = one.assign(computation, [arguments(size) for size in sizes])
            ends = await one.all_ended(tokens)
            assert [end.status for end in ends] == [RETURNED | APART, RETURNED | APART, RETURNED]
            assert node._agents._arenas.results.regions.used == 0
            for token, end, size in zip(tokens[:2], ends, sizes):
                assert [file.path for file in end.files] == [""]
                assert end.data == b""
                assert value_of(await one.fetch(f"{token}/0")) == b"x" * size
            one.cut()
            two = one.next_life(settles=False)
            await two.dial(address)
            again = await two.all_ended(tokens)
            assert [end.files for end in again] == [end.files for end in ends]
            assert value_of(await two.fetch(f"{tokens[1]}/0")) == b"x" * sizes[1]
            two.settle(tokens)
            spool = node.agent.directories.spool
            await until(lambda: not list(spool.iterdir()))

    asyncio.run(story())


def writes(path, lines):
    import sys
    import time

    for number in range(lines):
        print(f"line {number}", flush=True)
    print("trouble", file=sys.stderr, flush=True)
    open(path, "w").close()
    time.sleep(60)


@pytest.mark.parametrize("portable", [False, True])
def test_the_output_of_a_running_attempt(tmp_path, portable):
    async def story():
        where = f"unix:{tmp_path}/node.sock"
        async with station(tmp_path / "n", where, portable=portable) as (_node, address, _log):
            one = DurableScheduler()
            await one.dial(address)
            computation = function(writes)
            one.prepare(computation)
            (token,) = one.assign(computation, [arguments(str(tmp_path / "written"), 3)])
            await until(lambda: (tmp_path / "written").exists())

            async def ask(token, **start):
                count = len(one.outputs)
                one.ask_output(token, **start)
                await one.until(lambda: len(one.outputs) > count)
                return one.outputs[-1]

            told = await ask(token)
            while not told.stderr:
                told = await ask(token)
            assert told.stdout == b"line 0\nline 1\nline 2\n"
            assert told.stderr == b"trouble\n"
            told = await ask(token, stdout_from=7)
            assert (told.stdout_at, told.stdout) == (7, b"line 1\nline 2\n")
            assert "not run here" in (await ask(77)).error
            one.assign(computation, [arguments(str(tmp_path / "more"), 0)])
            (waiting,) = one.assign(computation, [arguments(str(tmp_path / "waits"), 0)])
            await until(lambda: (tmp_path / "more").exists())
            assert "not started" in (await ask(waiting)).error

    asyncio.run(story())


def test_a_node_that_leaves_says_so_again(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            tokens = one.assign(computation, [arguments(1.5, 4)])
            await one.until(lambda: one.started)
            leaving = asyncio.ensure_future(drain(node, "its owner goes home"))
            await one.until(lambda: one.leaving)
            one.cut()
            two = one.next_life(settles=False)
            await two.dial(address)
            await two.until(lambda: two.leaving)
            assert two.leaving[0].reason == "its owner goes home"
            await two.all_ended(tokens)
            await asyncio.sleep(0.3)
            assert not leaving.done()  # it is not settled yet
            two.settle(tokens)
            await asyncio.wait_for(leaving, 10)

    asyncio.run(story())


def die(signal):
    import os

    os.kill(os.getpid(), signal)


def test_a_worker_is_blamed_and_a_keeper_is_not(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            killers, sleepers = function(die), function(nap)
            one.prepare(killers)
            one.prepare(sleepers)
            (blamed,) = one.assign(killers, [arguments(9)])
            await one.until(lambda: blamed in one.died)
            (lost,) = one.assign(sleepers, [arguments(60)])
            await one.until(lambda: lost in one.started)
            os.kill(node.agent.pids["keeper"], 9)
            await one.until(lambda: lost in one.died)
            one.cut()
            two = one.next_life(settles=False)
            await two.dial(address)
            await two.until(lambda: len(two.died) == 2)
            for scheduler in (one, two):
                assert scheduler.died[blamed][0] is True
                assert scheduler.died[blamed][1].failure["signal"] == b"SIGKILL"
                assert scheduler.died[lost][0] is False
            two.settle([blamed, lost])
            await until(lambda: node.agent.custody.empty)
            assert not list(node.agent.directories.workers.glob("*-1.ring"))

    asyncio.run(story())


def test_a_fault_of_the_agent_leaves_everything_to_the_next(tmp_path):
    async def story():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            done = one.assign(computation, [arguments(0, 1)])
            await one.all_ended(done)
            long = one.assign(computation, [arguments(60)])
            await one.until(lambda: one.started)
            node.agent.fail(RuntimeError("a fault"), "a test")
            await until(lambda: one.lost and "free again" in log.text)
            era = one.readies[0].era
            await one.dial(address)
            truth = await one.truth(2)
            assert {row[2] for row in truth.values()} == {ENDED}
            assert {row[:2] for row in truth.values()} == {("s", 1001), ("s", 1002)}
            await one.until(lambda: one.died)
            assert one.died[long[0]][0] is False
            assert one.readies[1].era == era != ""

    asyncio.run(story())


def test_more_than_fits_into_memory_is_told_little_by_little(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "KEPT_TELLING", 5000)

    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            one = DurableScheduler(settles=False)
            await one.dial(address)
            computation = function(large)
            one.prepare(computation)
            tokens = []
            for _ in range(30):
                tokens += one.assign(computation, [arguments(2000)])
                await one.all_ended(tokens[-1:])
            one.cut()
            two = one.next_life(settles=True)
            await two.dial(address)
            await two.truth()
            assert 0 < len(two.told) < 30 or node.claim.outbox.kept_bytes < 10_000
            assert [len(end.value) for end in await two.all_ended(tokens)] == [2000] * 30
            assert sorted(two.told) == tokens
            await until(lambda: node.agent.custody.empty)

    asyncio.run(story())


def test_a_node_whose_memory_is_damaged_says_so(tmp_path):
    async def story(damage):
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (_node, address, _log):
            one = DurableScheduler(epoch=1 + damage, settles=False)
            await one.dial(address)
            await one.truth()
            computation = function(nap)
            one.prepare(computation)
            if not damage:
                await one.all_ended(one.assign(computation, [arguments(0, n) for n in range(4)]))
            return one.readies[0].era

    before = asyncio.run(story(False))
    (path,) = (tmp_path / "n" / "kept").glob("*/*.kept")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert asyncio.run(story(True)) != before


def test_who_answers_where_a_durable_scheduler_was_does_not_take_its_place(tmp_path):
    async def story():
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock") as (node, address, _log):
            one = DurableScheduler(lease_s=1.0, beat_s=0.2)
            await one.dial(address)
            computation = function(nap)
            one.prepare(computation)
            one.assign(computation, [arguments(2, 1)])
            await one.until(lambda: one.started)
            another = RemoteScheduler("s2").hello
            refused = node.check_scheduler(another)
            assert refused is not None
            assert "still works for cluster-d1 of u@h" in refused.message
            assert node.check_scheduler(one.next_life().hello) is None
            one.cut()
            await until(lambda: node.claim is None or node.claim.unreachable)
            assert node.check_scheduler(another) is not None
            await until(lambda: node.claim is None)
            assert node.check_scheduler(another) is None
            stale = node.check_scheduler(DurableScheduler("d1", 0).hello)
            assert stale is not None
            assert stale.code == "stale"

    asyncio.run(story())


def clean_slowly(log, gate):
    import os
    import time

    with open(log, "a") as opened:
        opened.write("cleanup\n")
    while not os.path.exists(gate):
        time.sleep(0.01)


@pytest.mark.parametrize("portable", [False, True])
def test_what_comes_for_a_session_that_is_cleaned_up_waits_or_is_given_back(tmp_path, portable):
    async def story():
        log, gate = tmp_path / "log", tmp_path / "gate"
        async with station(tmp_path / "n", f"unix:{tmp_path}/node.sock", portable=portable) as (node, address, _log):
            one = DurableScheduler()
            await one.dial(address)
            computation = function(nap, cleanup=setup_of(clean_slowly, str(log), str(gate)))
            one.prepare(computation)
            await one.run(computation, (0, 1))
            one.release()
            await until(log.exists)
            one.release()  # as after another adoption
            one.prepare(computation)
            late = one.assign(computation, [arguments(0, n) for n in range(3)])
            await one.until(lambda: one.returned.keys() >= set(late))
            assert [told.ready for told in one.prepared] == [True]
            assert not any(map(node.agent.custody.keeping.knows, late))
            gate.touch()
            await one.until(lambda: one.released)
            assert [told.problems for told in one.released] == [[]]
            await one.until(lambda: len(one.prepared) > 1)
            assert [told.ready for told in one.prepared] == [True, True]
            assert [end.value for end in await one.run(computation, (0, 2))] == [2]
            assert len(one.released) == 1
        assert log.read_text() == "cleanup\n"

    asyncio.run(story())
