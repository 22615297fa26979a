"""A scheduler in a thread of the test: speaks the real wire over a socket pair, and does what the test says.

session, fake = connected()             jobs are answered at once by running them in the fake's thread
session, fake = connected(hold=True)    jobs wait in fake.jobs until the test ends them
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections import deque
from typing import Any

from msgspec import Struct

from lightwork.client.launch import LaunchOptions
from lightwork.client.opening import hello_of
from lightwork.model.states import ClusterEvent, JobState
from lightwork.payload.reading import unpack_value
from lightwork.store.arena import Arena
from lightwork.transport.dial import adopt
from lightwork.wire.connection import Connection
from lightwork.wire.messages import (
    PROTOCOL,
    Answer,
    AskHosts,
    AskNodeJobs,
    AskStatus,
    AskWhy,
    Attempted,
    AwaitReady,
    Cancel,
    ChangeHosts,
    Chunk,
    Close,
    Computation,
    ControlNode,
    Define,
    Fetch,
    Goodbye,
    Hello,
    Hosts,
    JobOptions,
    NodeNews,
    NodeStatus,
    Results,
    Running,
    Seek,
    SendFile,
    Status,
    Submit,
    Update,
    Why,
)
from lightwork.wire.outcome import ENVELOPE, RAISED, RETURNED, Outcome, encode_outcome

NODE = NodeStatus("here", address="127.0.0.1", slots=2)


class FakeJob(Struct):
    """A job as the scheduler has it."""

    number: int
    computation: Computation
    options: JobOptions
    payload: bytes


def value(result) -> tuple[int, int, bytes]:
    """How a job that returned `result` ended: state, status, outcome."""
    return int(JobState.FINISHED), RETURNED, pickle.dumps(result, 5)


def raised(error: BaseException, trace: str = "Traceback ...", **more: str) -> tuple[int, int, bytes]:
    """How a job that raised ended."""
    fields = {"type": type(error).__name__, "message": str(error), "traceback": trace, **more}
    failure = {key: text.encode() for key, text in fields.items()}
    failure["exception"] = pickle.dumps(error, 5)
    return int(JobState.FAILED), RAISED | ENVELOPE, encode_outcome(Outcome(b"", failure=failure))


def ended(state: JobState, status: int, outcome: Outcome) -> tuple[int, int, bytes]:
    """Any other end."""
    return int(state), status | ENVELOPE, encode_outcome(outcome)


def run(job: FakeJob) -> tuple[int, int, bytes]:
    """Really run a function job."""
    if job.computation.kind != "function":
        return int(JobState.FINISHED), RETURNED, b""
    call, *_ = pickle.loads(job.computation.payload)
    args, kwargs = unpack_value(job.payload)
    try:
        if job.options.chunk:
            return value([call(*row) for row in args[0]])
        return value(call(*args, **kwargs))
    except Exception as error:
        return raised(error)


class FakeScheduler:
    """The other end of the line, in its own thread. What it is told lies in `messages`."""

    def __init__(self, sock: socket.socket, answer=run, *, hold: bool = False, node: NodeStatus = NODE) -> None:
        self.sock = sock
        self.answer = answer
        self.hold = hold
        self.node = node
        self.jobs: dict[int, FakeJob] = {}
        self.messages: list = []
        self.computations: dict[str, Computation] = {}
        self.sources: dict[int, object] = {}
        self.files: dict[str, bytes] = {}
        self.waiting: list[str] = []
        self.nodes = [node]
        self.attempted: list[Attempted] = []
        self.counts: dict[str, Any] = {}  # further fields of Status
        self.replies: dict[type, Any] = {}  # for a question: its Answer's fields, or a function that makes them
        self.answers_status = True
        self.says_goodbye = True
        self.sequence = 0
        self.batch = 64
        self.received: dict[int, bytes] = {}  # streams that we asked for
        self.done_streams: set[int] = set()
        self._connection = Connection(Hello(PROTOCOL, "scheduler", "fake"), listening=True)
        self._lock = threading.RLock()
        self._sent_node = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # --- what a test makes it do ---

    def send(self, message, body=b""):
        with self._lock:
            self._connection.send(message, body)
            self._push()

    def end(self, *numbers, how=None, attempts=1, files=(), tokens=()):
        """End these jobs, all in one batch, by running them or as `how` says."""
        outcomes = []
        if threading.current_thread() is not self.thread:
            self.wait(lambda: all(number in self.jobs for number in numbers))  # a submit may still be under way
        for number in numbers:
            job = self.jobs.pop(number)
            outcomes.append(how or self.answer(job))
        self.results(list(numbers), outcomes, attempts=attempts, files=list(files), tokens=list(tokens))

    def results(self, numbers, outcomes, *, attempts=1, files=(), tokens=()):
        with self._lock:
            self.sequence += 1
            states, statuses, bodies = zip(*outcomes)
            count = len(numbers)
            now = time.time_ns()
            self.send(
                Results(
                    self.sequence,
                    self.node.name,
                    numbers,
                    list(states),
                    list(statuses),
                    [now] * count,
                    [1_000_000] * count,
                    [attempts] * count,
                    list(map(len, bodies)),
                    list(files),
                    list(tokens),
                ),
                b"".join(bodies),
            )

    def start(self, *numbers):
        self.send(Running(self.node.name, list(numbers), [time.time_ns()] * len(numbers)))

    def die(self):
        """As by kill -9: end of file at the client."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def fetch(self, kind, name):
        with self._lock:
            number = self._connection.fetch(kind, name)
            self.received[number] = b""
            self._push()
        return number

    def wait(self, condition, within_s=10.0):
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not true within {within_s} s"
            time.sleep(0.002)

    def wait_jobs(self, count):
        self.wait(lambda: len(self.jobs) >= count)

    def told(self, kind):
        return [message for message in self.messages if isinstance(message, kind)]

    # --- its thread ---

    def _push(self):
        with self._lock:
            for data in iter(self._connection.data_to_send, []):
                for piece in data:
                    try:
                        self.sock.sendall(piece)
                    except OSError:
                        return

    def _run(self):
        try:
            while True:
                count = self.sock.recv_into(self._connection.room())
                if not count:
                    return
                with self._lock:
                    frames = self._connection.received(count)
                    if self._connection.peer is not None and not self._sent_node:
                        self._sent_node = True
                        self._connection.send(NodeNews(int(ClusterEvent.NODE_READY), self.node))
                for message, body in frames:
                    self._told(message, body)
                self._push()
        except OSError:
            pass

    def _told(self, message, body):
        self.messages.append(message)
        match message:
            case Define():
                self.computations[message.computation.digest] = message.computation
            case Submit():
                self._submitted(message, body)
            case AskStatus() if self.answers_status:
                attempted = list(self.attempted)
                waiting = list(self.waiting)
                told = Status(message.number, self.nodes, len(self.jobs), 0, waiting, {}, attempted, **self.counts)
                self.send(told)
            case Seek() | ControlNode() | AskNodeJobs() | SendFile() | Update() | AwaitReady() | ChangeHosts():
                self._asked(message)
            case AskHosts() | AskWhy():
                self._asked(message)
            case Fetch():
                self._serve(message)
            case Chunk():
                self._chunk(message, body)
            case Close():
                if message.cancel:
                    self.cancelled(list(self.jobs))
                if self.says_goodbye:
                    self.send(Goodbye("closed"))
            case Cancel() if not self.hold:
                self.cancelled(message.jobs)
            case _:
                pass

    def _asked(self, message):
        reply = self.replies.get(type(message), {})
        if callable(reply):
            reply = reply(message)
        if isinstance(message, AskHosts | AskWhy):
            reply = reply and (Hosts if isinstance(message, AskHosts) else Why)(message.number, **reply)
        elif reply is not None:
            reply = Answer(message.number, **reply)
        if reply is not None:
            self.send(reply)

    def add_node(self, node, event=ClusterEvent.NODE_READY):
        """It comes, or what is known of it changes."""
        self.nodes = [*(one for one in self.nodes if one.name != node.name), node]
        self.send(NodeNews(int(event), node))

    def drop_node(self, node):
        """It goes."""
        self.nodes = [one for one in self.nodes if one.name != node.name]
        self.send(NodeNews(int(ClusterEvent.NODE_CLOSED), node))

    def cancelled(self, numbers):
        known = [number for number in numbers if number in self.jobs]
        if known:
            self.end(*known, how=ended(JobState.CANCELLED, 5, Outcome(b"")))

    def _submitted(self, message, body):
        at = 0
        computation = self.computations[message.computation]
        numbers = []
        for index, length in enumerate(message.lengths):
            number = message.first + index
            self.jobs[number] = FakeJob(number, computation, message.options, body[at : at + length])
            numbers.append(number)
            at += length
        if not self.hold:
            for begin in range(0, len(numbers), self.batch):
                self.end(*numbers[begin : begin + self.batch])

    def _serve(self, message):
        data = self.files.get(message.name)
        self._connection.serve(message.stream, _Bytes(data))

    def _chunk(self, message, body):
        self.received[message.stream] += body
        with self._lock:
            self._connection.consumed(message.stream, len(body))
        if message.last:
            self.done_streams.add(message.stream)
            if message.error:
                self.received[message.stream] = message.error


class _Bytes:
    def __init__(self, data):
        self._rest = data

    def read(self, size):
        if self._rest is None:
            raise OSError("no such file in the spool")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def close(self):
        pass


class FakePrivate:
    """Stands in for launch.Private: no process, a thread."""

    made: deque = deque(maxlen=4)

    def __init__(self, name, session, *, arenas=None, **how):
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.ours = ours
        self.fake = FakeScheduler(theirs, **how)
        self.arenas: Any = arenas or _NoArenas()
        self.options = LaunchOptions(
            slots=None,
            name=name,
            session=session,
            directory="",
            arena_args=None,
            arena_results=None,
            size=0,
            apart=False,
            portable=False,
            uvloop=None,
            parent=os.getpid(),
        )
        self.network: Any = None
        self.ended: list[bool] = []
        self.discarded = False
        FakePrivate.made.append(self)

    def tell(self, network):
        self.network = network

    def address(self):
        return "fake:"

    def obituary(self):
        return "The scheduler (process 0) is gone: it was killed by SIGKILL.\nits last words"

    def end(self, *, clean, keep_results=False):
        self.ended.append(clean)
        self.arenas.close(keep_results=keep_results)

    def discard(self):
        self.discarded = True
        self.fake.die()

    def abandon(self):
        pass


class _NoArenas:
    arguments: Any = None
    results: Any = None

    def close(self, *, keep_results=False):
        pass


class RealArenas(_NoArenas):
    """Shared memory, small; the fake's thread is agent and worker."""

    def __init__(self, capacity=8 << 20):
        self.arguments = Arena.create(capacity)
        self.results = Arena.create(capacity)

    def close(self, *, keep_results=False):
        self.arguments.close()
        if not keep_results:
            self.results.close()


def dial(private):
    return adopt(private.ours, hello_of(private.options.session, private.options.name))
