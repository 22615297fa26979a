"""Plays the agent to real keepers and workers: the protocol of wire/channel.py and wire/shared_file.py, seen from the
other side, and nothing else."""

from __future__ import annotations

import array
import contextlib
import itertools
import mmap
import os
import pickle
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.worker.ring_reader import Record, RingReader

BOOT = Path(__file__).parents[2] / "src" / "lightwork" / "worker" / "boot.py"
PATIENCE_S = 20.0
CLAIM_AFTER_NS = 20_000_000
ARENA_SIZE = 1 << 32


class End(NamedTuple):
    """How an attempt ended, with the output that the double collected itself put in."""

    token: int
    status: int
    outcome: oc.Outcome
    duration_ns: int

    @property
    def kind(self) -> int:
        return self.status & oc.KIND_MASK

    @property
    def value(self) -> Any:
        assert self.kind == oc.RETURNED, (self.kind, self.failure)
        return pickle.loads(self.outcome.value)

    @property
    def failure(self) -> dict[str, str]:
        return {k: v.decode("utf-8", "replace") for k, v in self.outcome.failure.items() if k != "exception"}

    @property
    def stdout(self) -> bytes:
        return self.outcome.stdout.head + self.outcome.stdout.tail

    @property
    def stderr(self) -> bytes:
        return self.outcome.stderr.head + self.outcome.stderr.tail


class Kept:
    """Head, tail and the count between, of what the agent reads itself."""

    def __init__(self, limit: int = ch.OUTPUT_LIMIT) -> None:
        self.limit, self.head, self.tail, self.size = limit, b"", b"", 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        room = self.limit - len(self.head)
        self.head += data[:room]
        if data[room:]:
            self.tail = (self.tail + data[room:])[-self.limit :]

    def stream(self) -> oc.Stream:
        return oc.Stream(self.head, self.tail, self.size - len(self.head) - len(self.tail))


def dumps(value: Any) -> bytes:
    """By value, what is defined in a test."""
    tests = [module for name, module in list(sys.modules.items()) if name.startswith("tests.worker.test_")]
    for module in tests:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(value, protocol=5)
    finally:
        for module in tests:
            cloudpickle.unregister_pickle_by_value(module)


def function_payload(call: Any, injected: dict[str, Any] | None = None, init: Any = None) -> bytes:
    return dumps((call, injected or {}, init))


def setup_payload(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bytes:
    return dumps((function, args, kwargs))


def arguments(*args: Any, **kwargs: Any) -> bytes:
    return dumps((args, kwargs))


class Shared:
    """A shared file, the agent's end."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"")
        os.truncate(path, sf.FILE_SIZE)
        self.path = path
        with path.open("r+b") as file:
            self.view = memoryview(mmap.mmap(file.fileno(), sf.FILE_SIZE))
        sf.words_of(self.view)[sf.WORD_MAGIC] = sf.MAGIC
        self.ring = RingReader(self.view)
        self.words = self.ring.words


class WorkerDouble:
    """The agent's side of one worker: feeds it, drains its ring, claims long attempts' output."""

    def __init__(self, channel: socket.socket, shared: Shared, pipes: tuple[int, int], directory: Path) -> None:
        self.channel, self.shared, self.words = channel, shared, shared.words
        self.pipes, self.directory = pipes, directory
        self.reader = ch.FrameReader()
        self.frames: list[ch.Frame] = []
        self.ends: dict[int, End] = {}
        self.order: list[int] = []
        self.revoked: list[int] = []
        self.sent: dict[int, int] = {}  # token -> serial
        self.serials = itertools.count(1)
        self.tokens = itertools.count((1 << 40) + 1)
        self.owned = 0
        self.kept: dict[int, tuple[Kept, Kept]] = {}
        self.bells = 0
        self.regions = 0
        self.arena: mmap.mmap | None = None
        self.refuse = False
        self.gone = False
        self.id = b""
        self.pid = 0
        self.claim = True

    # --- saying

    def send(self, kind: int, body: bytes = b"", slot: int = 0) -> None:
        self.channel.sendall(ch.pack_frame(kind, body, slot))

    def load(self, call: Any, slot: int = 1, fields: dict[str, bytes] | None = None, **more: bytes) -> ch.Frame:
        """LOAD, and wait for the answer."""
        self.send(ch.LOAD, oc.encode_fields(self.load_fields(call, **(fields or {}), **more)), slot)
        return self.expect(ch.LOADED, ch.LOAD_FAILED)

    def load_fields(self, call: Any, **fields: Any) -> dict[str, bytes]:
        made = {
            "name": b"test",
            "digest": b"d",
            "kind": b"function",
            "directory": os.fsencode(self.directory),
            "spool": os.fsencode(self.directory / "spool"),
            "session": b"s1",
            "node": b"n1",
            "address": b"10.0.0.1",
        }
        if call is not None:
            made["payload"] = function_payload(call)
        made.update({key: value for key, value in fields.items() if value is not None})
        return made

    def run(self, payloads: Iterable[bytes], options: dict[str, bytes] | None = None, slot: int = 1) -> list[int]:
        payloads = list(payloads)
        tokens = [next(self.tokens) for _ in payloads]
        for token in tokens:
            self.sent[token] = next(self.serials)
        self._push(ch.pack_run(slot, tokens, list(map(len, payloads)), payloads, oc.encode_fields(options or {})))
        return tokens

    def run_at(self, references: list[bytes], slot: int = 1) -> list[int]:
        """Jobs whose arguments lie in the arena."""
        tokens = [next(self.tokens) for _ in references]
        for token in tokens:
            self.sent[token] = next(self.serials)
        lengths = [len(reference) | ch.IN_ARENA_BIT for reference in references]
        self._push(ch.pack_run(slot, tokens, lengths, references, b""))
        return tokens

    def _push(self, data: bytes) -> None:
        """Send, and see to the worker meanwhile: it may be waiting for us."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.channel.send(view, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self.pump(0.001)

    def call(self, *args: Any, options: dict[str, bytes] | None = None, slot: int = 1, **kwargs: Any) -> End:
        (token,) = self.run([arguments(*args, **kwargs)], options, slot)
        return self.end(token)

    def end(self, token: int, patience_s: float = PATIENCE_S) -> End:
        self.wait(lambda: token in self.ends, patience_s)
        return self.ends[token]

    def wait(self, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < deadline, "waited %g s; got frames %s" % (patience_s, self.frames)
            assert not self.gone, "the worker is gone"
            self.pump(0.01)

    def expect(self, *kinds: int, patience_s: float = PATIENCE_S) -> ch.Frame:
        found: list[ch.Frame] = []

        def look() -> bool:
            found.extend(frame for frame in self.frames if frame.kind in kinds)
            return bool(found)

        self.wait(look, patience_s)
        self.frames.remove(found[0])
        return found[0]

    # --- the agent's duties

    def pump(self, timeout_s: float) -> None:
        """One turn: what the channel brings, a tick, the ring."""
        sources: list[Any] = [self.channel, *(self.pipes if self.owned else ())]
        ready, _, _ = select.select(sources, [], [], timeout_s)
        if self.channel in ready:
            self._receive()
        self.tick()
        self.drain()

    def _receive(self) -> None:
        try:
            data = self.channel.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            self.gone = True
        for frame in self.reader.feed(data):
            if frame.kind == ch.BELL:
                self.bells += 1
            elif frame.kind == ch.OUTPUT_END:
                self._output_end(ch.U64.unpack(frame.body)[0])
            elif frame.kind == ch.WANT_REGION:
                self._give_region(ch.U64.unpack(frame.body)[0])
            else:
                self.frames.append(frame)

    def tick(self) -> None:
        words = self.words
        token = words[sf.STARTED]
        if self.owned:
            self._read_owned()
        elif (
            self.claim
            and token
            and words[sf.ENDED] != token
            and time.monotonic_ns() - words[sf.STARTED_NS] > CLAIM_AFTER_NS
        ):
            words[sf.CLAIM] = token
            time.sleep(0.001)
            if words[sf.STARTED] == token and words[sf.ENDED] != token:
                self.own(token)
            else:
                words[sf.CLAIM] = 0

    def own(self, token: int) -> None:
        self.owned = token
        self.kept[token] = Kept(), Kept()

    def _read_owned(self) -> None:
        for pipe, kept in zip(self.pipes, self.kept[self.owned], strict=True):
            while select.select([pipe], [], [], 0)[0]:
                data = os.read(pipe, 1 << 16)
                kept.add(data)
                if not data:
                    break

    def _output_end(self, token: int) -> None:
        if self.owned == token:
            self._read_owned()
            self.owned = 0
            self.words[sf.CLAIM] = 0

    def _give_region(self, size: int) -> None:
        if self.refuse or self.arena is None or self.regions + size > len(self.arena):
            self.send(ch.REGION, ch.U64.pack(ch.REFUSED))
            return
        self.send(ch.REGION, ch.U64.pack(self.regions))
        self.regions += (size + 4095) // 4096 * 4096

    def drain(self) -> None:
        for record in self.shared.ring.drain():
            if record.status == oc.REVOKED:
                self.revoked.append(record.token)
                continue
            self.order.append(record.token)
            envelope = record.status & oc.ENVELOPE
            outcome = oc.decode_outcome(record.outcome) if envelope else oc.Outcome(record.outcome)
            if record.status & oc.IN_ARENA:
                assert self.arena is not None
                offset, length = oc.ARENA_REFERENCE.unpack(outcome.value)
                outcome = outcome._replace(value=bytes(self.arena[offset : offset + length]))
            outcome = self.with_output(record.token, outcome)
            self.ends[record.token] = End(record.token, record.status, outcome, record.duration_ns)

    def with_output(self, token: int, outcome: oc.Outcome) -> oc.Outcome:
        kept = self.kept.get(token)
        if kept is None:
            return outcome
        for one, stream in zip(kept, (outcome.stdout, outcome.stderr), strict=True):
            one.add(stream.head + stream.tail)
        return outcome._replace(stdout=kept[0].stream(), stderr=kept[1].stream())

    def to_blame(self) -> int | None:
        """After a death: the attempt that killed the worker."""
        self.drain()
        token = self.words[sf.STARTED]
        return token if token in self.sent and token not in self.ends else None

    def unstarted(self) -> list[int]:
        blamed = self.to_blame()
        return [token for token in self.sent if token not in self.ends and token != blamed]

    def close(self) -> None:
        self.channel.close()
        for pipe in self.pipes:
            os.close(pipe)


class PortableDouble(WorkerDouble):
    """A portable worker: no claims, markers in freely read pipes."""

    def __init__(
        self, process: subprocess.Popen[bytes], channel: socket.socket, shared: Shared, directory: Path
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        super().__init__(channel, shared, (process.stdout.fileno(), process.stderr.fileno()), directory)
        self.process = process
        self.pid = process.pid
        self.text = [bytearray(), bytearray()]
        self.marked: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})

    def tick(self) -> None:
        for index, pipe in enumerate(self.pipes):
            while select.select([pipe], [], [], 0)[0]:
                data = os.read(pipe, 1 << 16)
                if not data:
                    break
                self.text[index] += data
            self._cut(index)

    def _cut(self, index: int) -> None:
        text, size = self.text[index], len(ch.OUTPUT_MARKER)
        while True:
            at = text.find(ch.OUTPUT_MARKER)
            if at < 0 or len(text) < at + size + 8:
                return
            (token,) = ch.U64.unpack_from(text, at + size)
            self.marked[index][token] = bytes(text[:at])
            del text[: at + size + 8]

    def with_output(self, token: int, outcome: oc.Outcome) -> oc.Outcome:
        deadline = time.monotonic() + PATIENCE_S
        while not all(token in marked for marked in self.marked):
            assert time.monotonic() < deadline, "no marker for an attempt that has ended"
            self.tick()
        streams = []
        for marked in self.marked:
            kept = Kept()
            kept.add(marked[token])
            streams.append(kept.stream())
        return outcome._replace(stdout=streams[0], stderr=streams[1])


class KeeperDouble:
    """The agent's side of one keeper, or of a template."""

    def __init__(self, channel: socket.socket, directory: Path, root: KeeperDouble | None = None) -> None:
        self.channel, self.directory = channel, directory
        self.reader = ch.FrameReader()
        self.frames: list[tuple[int, int, dict[str, bytes]]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.ids: itertools.count[int] = itertools.count(1) if root is None else root.ids
        self.workers: list[WorkerDouble] = []
        self.started: list[bytes] = []
        self.results: mmap.mmap | None = None if root is None else root.results
        self.args: mmap.mmap | None = None if root is None else root.args
        self.pid = 0
        self.setup_pipes: tuple[int, int] = (-1, -1)
        self.gone = False
        self.id = b""

    def send(self, kind: int, fields: dict[str, bytes], descriptors: Iterable[int] = (), slot: int = 0) -> None:
        frame = ch.pack_frame(kind, oc.encode_fields(fields), slot)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        sent = self.channel.sendmsg([frame], rights if rights[0][2] else [])
        self.channel.sendall(frame[sent:])

    def expect(self, kind: int, id_: bytes | None = None, patience_s: float = PATIENCE_S) -> dict[str, bytes]:
        deadline = time.monotonic() + patience_s
        while True:
            for frame in self.frames:
                if frame[0] == kind and (id_ is None or frame[2].get("id") == id_):
                    self.frames.remove(frame)
                    return frame[2]
            left = deadline - time.monotonic()
            assert left > 0, "waited for %d (id %r), got %s" % (kind, id_, self.frames)
            if select.select([self.channel], [], [], left)[0]:
                data = self.channel.recv(1 << 16)
                assert data, "the keeper is gone; waited for %d, got %s" % (kind, self.frames)
                self.frames += [(f.kind, f.slot, oc.decode_fields(f.body)) for f in self.reader.feed(data)]

    def new_id(self) -> bytes:
        id_ = b"%d" % next(self.ids)
        self.started.append(id_)
        return id_

    def worker(self) -> WorkerDouble:
        """A worker that has said READY."""
        id_ = self.new_id()
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        shared = Shared(self.directory / ("%s.ring" % id_.decode()))
        given = [theirs.fileno(), pipes[0][1], pipes[0][0], pipes[1][1], pipes[1][0]]
        self.send(ch.FORK, {"id": id_, "shared_file": os.fsencode(shared.path)}, given)
        theirs.close()
        os.close(pipes[0][1])
        os.close(pipes[1][1])
        worker = WorkerDouble(ours, shared, (pipes[0][0], pipes[1][0]), self.directory)
        worker.id = id_
        worker.arena = self.results
        worker.pid = int(self.expect(ch.STARTED_PID, id_)["pid"])
        worker.expect(ch.READY)
        self.workers.append(worker)
        return worker

    def template(self, call: Any, slot: int = 1, **fields: Any) -> KeeperDouble:
        id_ = self.new_id()
        ours, theirs = socket.socketpair()
        out, out_writer = os.pipe()
        err, err_writer = os.pipe()
        loading = WorkerDouble(ours, Shared(self.directory / "unused.ring"), (out, err), self.directory)
        self.send(
            ch.TEMPLATE,
            {"id": id_, **loading.load_fields(call, **fields)},
            [theirs.fileno(), out_writer, err_writer],
            slot,
        )
        for descriptor in (out_writer, err_writer):
            os.close(descriptor)
        theirs.close()
        template = KeeperDouble(ours, self.directory, self)
        template.setup_pipes = (out, err)
        template.id = id_
        template.pid = int(self.expect(ch.STARTED_PID, id_)["pid"])
        return template

    def spawn(self, argv: list[str], stdin: bytes = b"", env: dict[str, str] | None = None) -> Program:
        id_ = self.new_id()
        pipes = [os.pipe() for _ in range(3)]
        shared = Shared(self.directory / ("%s.ring" % id_.decode()))
        fields = {"id": id_, "token": b"77", "shared_file": os.fsencode(shared.path)}
        fields["directory"] = os.fsencode(self.directory)
        fields.update({"argv.%d" % n: os.fsencode(a) for n, a in enumerate(argv)})
        fields.update({"env.%s" % k: os.fsencode(v) for k, v in (env or {}).items()})
        self.send(ch.SPAWN, fields, [pipes[0][0], pipes[1][1], pipes[2][1]])
        for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
            os.close(descriptor)
        os.write(pipes[0][1], stdin)
        os.close(pipes[0][1])
        return Program(self, id_, shared, (pipes[1][0], pipes[2][0]))

    def kill(self, id_: bytes) -> None:
        self.send(ch.KILL, {"id": id_})

    def signal(self, id_: bytes, number: int) -> None:
        self.send(ch.SIGNAL, {"id": id_, "signal": b"%d" % number})

    @contextlib.contextmanager
    def borrowed(self, directory: Path) -> Iterator[None]:
        """For one test, in its directory."""
        own, self.directory = self.directory, directory
        try:
            yield
        finally:
            for id_ in self.started:
                self.kill(id_)
            for worker in self.workers:
                worker.close()
            self.workers.clear()
            self.started.clear()
            self.directory = own
            left = processes_of(directory)
            self.drop_frames()
            assert not left, "left behind: %s" % left

    def drop_frames(self) -> None:
        while select.select([self.channel], [], [], 0)[0] and (data := self.channel.recv(1 << 16)):
            list(self.reader.feed(data))
        self.frames.clear()

    def close(self) -> None:
        self.channel.close()
        for worker in self.workers:
            worker.close()
        for pipe in self.setup_pipes:
            if pipe >= 0:
                os.close(pipe)
        self.workers.clear()
        if self.process is not None:
            assert self.process.wait(PATIENCE_S) == 0


class Program(NamedTuple):
    """A program under a holder."""

    keeper: KeeperDouble
    id: bytes
    shared: Shared
    pipes: tuple[int, int]

    def end(self) -> tuple[Record, bytes, bytes]:
        """Its record and output, once the keeper has said DIED."""
        texts = []
        for pipe in self.pipes:
            pieces = []
            while data := os.read(pipe, 1 << 16):
                pieces.append(data)
            os.close(pipe)
            texts.append(b"".join(pieces))
        self.keeper.expect(ch.DIED, self.id)
        (record,) = self.shared.ring.drain()
        return record, texts[0], texts[1]


@contextlib.contextmanager
def keeper(
    directory: Path, python: str = sys.executable, options: Iterable[str] = (), results: bool = True
) -> Iterator[KeeperDouble]:
    """A running keeper; at the end it is told good-bye by end of file, and nothing of it may be left."""
    ours, theirs = socket.socketpair()
    arenas = [os.memfd_create(name) for name in ("args", "results")]
    for arena in arenas:
        os.ftruncate(arena, ARENA_SIZE)
    argv = [python, str(BOOT), "keeper", "--channel", str(theirs.fileno()), "--args-arena", "fd:%d" % arenas[0]]
    argv += [*(["--results-arena", "fd:%d" % arenas[1]] if results else []), *options]
    process = subprocess.Popen(argv, pass_fds=[theirs.fileno(), *arenas], stdin=subprocess.DEVNULL)
    theirs.close()
    made = KeeperDouble(ours, directory)
    made.args, made.results = (mmap.mmap(arena, ARENA_SIZE) for arena in arenas)
    for arena in arenas:
        os.close(arena)
    made.process = process
    made.pid = int(made.expect(ch.KEEPER_READY)["pid"])
    try:
        yield made
    finally:
        if process.poll() is None:
            made.close()
        process.wait()
        left = processes_of(directory)
        assert not left, "left behind: %s" % left


@contextlib.contextmanager
def portable_worker(directory: Path, python: str = sys.executable) -> Iterator[PortableDouble]:
    """A worker of the portable kind."""
    listener = socket.create_server(("127.0.0.1", 0))
    shared = Shared(directory / "portable.ring")
    key = directory / "key"
    key.write_text("sesame")
    host, port = listener.getsockname()[:2]
    argv = [python, str(BOOT), "worker", "--connect", host, str(port), "--key-file", str(key)]
    process = subprocess.Popen(
        [*argv, "--shared", str(shared.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LIGHTWORK_PORTABLE": "1"},
    )
    try:
        listener.settimeout(PATIENCE_S)
        channel = listener.accept()[0]
        worker = PortableDouble(process, channel, shared, directory)
        ready = oc.decode_fields(worker.expect(ch.READY).body)
        assert ready["key"] == b"sesame"
        yield worker
        channel.close()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
        listener.close()


def processes_of(directory: Path, patience_s: float = 5.0) -> dict[int, str]:
    """Living processes with this directory in their working directory, command line or maps, after a while."""
    deadline = time.monotonic() + patience_s
    while True:
        left = dict(_scan(str(directory).encode()))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def _scan(needle: bytes) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                continue
            command = (entry / "cmdline").read_bytes()
            if not command:
                continue  # the kernel's own
            text = command + os.fsencode(os.readlink(entry / "cwd"))
            text += (entry / "maps").read_bytes() if b"boot.py" in command else b""
        except OSError:
            continue
        if needle in text:
            yield int(entry.name), command.replace(b"\0", b" ").decode()
