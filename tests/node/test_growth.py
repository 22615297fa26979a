"""What a node keeps does not grow with the number of jobs, and what others left is removed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

from lightwork.config.limits import BODY_MAX, HEADER_MAX
from lightwork.node.core import commands as do, events as on
from lightwork.node.core.core import Core
from lightwork.node.core.seats import SEATS_MAX, SLOT_MAX
from lightwork.node.service import slices as cutting
from lightwork.node.service.directories import Directories
from lightwork.node.service.lock import LOCK_NAME, Lock
from lightwork.node.service.process_notes import ROOM, ProcessNotes
from lightwork.node.service.ring import Ring
from lightwork.node.service.siblings import remove_dead_siblings
from lightwork.node.service.slices import BYTES_MAX, ROWS_MAX
from lightwork.node.service.stale import settle
from lightwork.wire.messages import Computation, Died, Ended, File, JobOptions, Returned, Started, encode
from lightwork.wire.outcome import ENVELOPE, UNSENDABLE, decode_outcome
from tests.node.ring_writer import written
from tests.node.scheduler_double import arguments, function, node
from tests.node.test_files import file

slices: Any = cutting.slices  # of whatever message


def test_numbers_of_computations_go_round_without_meeting():
    core = Core(1)
    loaded: dict[int, dict[int, str]] = {}  # worker -> slot -> computation
    now = 0

    def feed(event):
        nonlocal now
        now += 1
        for command in core.handle(event, now):
            if isinstance(command, do.Fork):
                loaded[command.worker] = {}
            elif isinstance(command, do.Load):
                assert command.slot not in loaded[command.worker]
                loaded[command.worker][command.slot] = command.computation.digest
            elif isinstance(command, do.Unload):
                for worker in command.workers:
                    del loaded[worker][command.slot]
            elif isinstance(command, do.Run):
                ran.append(loaded[command.worker][command.slot])
                sent.append((command.worker, command.tokens))

    ran: list[str] = []
    sent: list[tuple[int, list[int]]] = []
    core.seats._last = SLOT_MAX - 700
    names = [f"f{number}" for number in range(2000)]
    for token, name in enumerate([*names, *names[:50]], 1):
        feed(on.ComputationGiven("s", Computation(name, "function", name, environment="e")))
        feed(on.FilesPlaced("s", name))
        feed(on.AttemptsAssigned("s", name, [token], [0]))
        assert ran[-1] == name
        worker, tokens = sent[-1]
        feed(on.JobsEnded(worker, tokens, [now], [1], [0], [0], b""))
    assert max(map(len, loaded.values())) <= SEATS_MAX


def test_the_list_of_processes_stays_short(tmp_path):
    notes = ProcessNotes(tmp_path / "processes")
    notes.born(1, 11, "a")
    for number in range(2, 5000):
        notes.born(number, 10_000 + number, "x")
        if number != 4998:
            notes.dead(number)
    lines = (tmp_path / "processes").read_text().splitlines()
    assert len(lines) <= ROOM + 10
    assert {"11 a", "14998 x"} <= set(lines)
    notes.close()


def test_files_of_jobs_go_with_their_session(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            shared, own = file("s.txt", b"shared", scheduler), file("o.txt", b"own", scheduler)
            computation = function(os.getpid, files=(shared,))
            scheduler.prepare(computation)
            await scheduler.run(computation, (), options=JobOptions(files=(own, shared)))
            assert len(list((tmp_path / "n" / "blobs").iterdir())) == 2
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            await asyncio.sleep(0.1)
            assert [path.name for path in (tmp_path / "n" / "blobs").iterdir()] == [shared.digest]

    asyncio.run(story())


def test_messages_are_cut():
    count = 3 * ROWS_MAX + 5
    tokens = [1 << 62 | number for number in range(count)]
    for message in (Returned(tokens, "revoked"), Started(tokens, tokens)):
        pieces = [piece for piece, _ in slices(message, b"")]
        assert [token for piece in pieces for token in piece.tokens] == tokens
        assert all(len(piece.tokens) <= ROWS_MAX for piece in pieces)
    lengths = [number % 5000 for number in range(count)]
    lengths[7], lengths[9] = BYTES_MAX + 1, 0
    body = b"".join(bytes([number % 251]) * length for number, length in enumerate(lengths))
    found = [(2, [File("a", "b", 1)]), (count - 1, [])]
    ended: Any = Ended(tokens, [0] * count, tokens, tokens, lengths, found)
    rows, files, at = [], [], 0
    for piece, part in slices(ended, body):
        assert len(encode(piece)) < HEADER_MAX
        assert len(part) <= BYTES_MAX or len(piece.tokens) == 1
        assert sum(piece.lengths) == len(part)
        rows += [(token, length) for token, length in zip(piece.tokens, piece.lengths, strict=True)]
        files += [(piece.tokens[index], given) for index, given in piece.files]
        assert body[at : at + len(part)] == part
        at += len(part)
    assert rows == list(zip(tokens, lengths, strict=True))
    assert files == [(tokens[2], [File("a", "b", 1)]), (tokens[-1], [])]


def test_an_outcome_that_no_message_can_carry():
    body = bytes(BODY_MAX + 1)
    [(ended, part)] = slices(Ended([5], [0], [1], [1], [len(body)]), body)
    assert (ended.tokens, ended.statuses) == ([5], [UNSENDABLE | ENVELOPE])
    assert decode_outcome(part).failure["type"] == b"ResultTooLarge"
    [(died, part)] = slices(Died([5], True, [1], [len(body)]), body)
    assert died.lengths == [len(part)]


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_directories_of_killed_sessions_are_removed(tmp_path):
    dead = dead_pid()
    gone, held = tmp_path / f"{dead}-0a1b2c", tmp_path / f"{dead}-ffff"
    ours, other = tmp_path / f"{os.getpid()}-1111", tmp_path / f"{os.getpid()}-2222"
    for path in (gone, held, ours, other, tmp_path / "dest", tmp_path / f"{dead}", tmp_path / f"{dead}-being-made"):
        (path / "jobs").mkdir(parents=True)
        (path / LOCK_NAME).touch()
    (tmp_path / f"{dead}-abab").mkdir()  # without a lock: it is being made
    lock = Lock(held / LOCK_NAME)
    lock.take()
    before = set(os.listdir(tmp_path))

    async def story():
        async with node(ours):
            pass

    asyncio.run(story())
    lock.release()
    assert before - set(os.listdir(tmp_path)) == {gone.name}


def test_a_node_with_a_name_leaves_others_alone(tmp_path):
    gone = tmp_path / f"{dead_pid()}-0a1b2c"
    gone.mkdir()
    (gone / LOCK_NAME).touch()
    assert remove_dead_siblings(tmp_path / "big-node") == []
    assert gone.exists()


def test_a_result_whose_files_are_gone_is_no_result(tmp_path):
    directories = Directories(tmp_path / "n")
    directories.make()
    ring = Ring(directories.ring(1))
    with written(ring.path) as writer:
        for token in (7, 8):
            assert writer.put(token, 1, 1, 0, b"")
    ring.close()
    directories.job(8).mkdir()
    news = [message for message, _ in asyncio.run(settle(directories, sys.executable))]
    ended = [message.tokens for message in news if isinstance(message, Ended)]
    died = [(message.tokens, message.blame) for message in news if isinstance(message, Died)]
    assert (ended, died) == ([[7]], [([8], False)])
    assert not directories.job(8).exists()


def test_identities_last_while_they_are_held(tmp_path):
    """Heartbeats name only what runs; what is held keeps its job number nevertheless."""

    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            import time

            computation = function(time.sleep)
            scheduler.prepare(computation)
            agent._beat.cancel()  # only the first one says what is held: it is to come once the long one has started
            scheduler.assign(computation, [arguments(60)])
            held = scheduler.assign(computation, [arguments(0)])
            kept: list[int] = []
            agent.hands.identities.keep = kept.append
            await scheduler.until(lambda: scheduler.started)
            agent._heartbeat()
            await scheduler.until(lambda: len(scheduler.beats) > 2)
            assert scheduler.beats[0].held == held
            assert [beat.held for beat in scheduler.beats[1:]] == [[]] * (len(scheduler.beats) - 1)
            assert set(kept) == {held[0] - 1}

    asyncio.run(story())
