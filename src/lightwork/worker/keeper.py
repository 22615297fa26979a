"""The keeper: forks workers, templates and programs, and sees to it that nothing of theirs outlives them.

    agent --channel--> keeper (one thread, subreaper, no user code)
                         |-- worker (subreaper) ------ what its jobs start
                         |-- template: itself a keeper, with a computation loaded and set up --- its workers
                         `-- holder (subreaper) --- program --- what it starts

Orphans come to the nearest subreaper above them, so whatever appears below the keeper without having been forked by it
is a stray of something dead, and is killed with its tree. End of file from the agent: everything below is killed.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import signal
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from lightwork.wire.channel import (
    CLEANED,
    CLEANUP,
    DIED,
    FORK,
    KEEPER_READY,
    KILL,
    SIGNAL,
    SPAWN,
    SPAWN_FAILED,
    STARTED_PID,
    TEMPLATE,
    Frame,
    pack_frame,
)
from lightwork.wire.outcome import decode_fields, encode_fields
from lightwork.worker import killing
from lightwork.worker.arena import lifted
from lightwork.worker.jobs import Computation, Environment
from lightwork.worker.line import Line
from lightwork.worker.link import channel_from_descriptor
from lightwork.worker.process import become_subreaper, die_with_parent, fork, lift
from lightwork.worker.user import User, become, parse

assert sys.platform != "win32"

_DESCRIPTORS = {FORK: 5, TEMPLATE: 3, SPAWN: 3}
Fields = Dict[str, bytes]


class Arenas(NamedTuple):
    """Names of the arenas (arena.py)."""

    args: str
    results: str


class Child:
    """A process that we forked for the agent."""

    __slots__ = ("failed", "id", "kind", "pid", "target", "told")

    def __init__(self, id_: bytes, pid: int, kind: int) -> None:
        self.id, self.pid, self.kind = id_, pid, kind
        self.target = pid  # whom signals are for: a program's own process, not its holder
        self.failed = False
        self.told = b""


class Keeper:
    """The loop. A template runs it too, with `computations` that its workers are born with."""

    def __init__(self, channel: _socket.socket, arenas: Arenas, user: Optional[User] = None) -> None:
        self.arenas = arenas
        self.user = user  # as whom all run that we fork, if not as we do
        self.computations: Dict[int, Computation] = {}
        self.environment = Environment()
        self._line = Line(channel)
        self._children: Dict[int, Child] = {}
        self._by_id: Dict[bytes, Child] = {}
        self._reports: Dict[int, Child] = {}  # pipes of holders
        self._spared: Set[int] = set()
        self._wake, self._wake_writer = os.pipe()
        for end in (self._wake, self._wake_writer):
            os.set_blocking(end, False)
        self._wake, self._wake_writer = lift(self._wake), lift(self._wake_writer)
        self._poller = select.poll()
        self._handlers: Dict[int, Callable[[Frame, Fields, List[int]], None]] = {
            FORK: self._fork_worker,
            TEMPLATE: self._fork_template,
            SPAWN: self._spawn,
            KILL: self._kill,
            SIGNAL: self._signal,
            CLEANUP: self._cleanup,
        }

    def run(self) -> None:
        """Serve the agent until it is gone, then kill everything below and return."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        self._poller.register(self._line.fileno(), self._line.wanted())
        self._poller.register(self._wake, select.POLLIN)
        self._reap()
        alive = True
        while alive:
            for descriptor, _ in self._poller.poll():
                if descriptor == self._wake:
                    self._woken()
                elif descriptor in self._reports:
                    self._read_report(descriptor)
                else:
                    alive = self._line.receive(self._obey) and alive
            self._line.flush()
            self._poller.register(self._line.fileno(), self._line.wanted())
        self.end_everything()

    def spare_children(self) -> None:
        """The processes below us now were started by setup: they stay until the end."""
        self._spared.update(killing.children_of(os.getpid()))

    def end_everything(self) -> None:
        """Nothing is left below us."""
        for _ in range(10):
            killing.kill_below(os.getpid())
            if killing.reap():
                return

    # --- the channel

    def send(self, kind: int, fields: Fields, slot: int = 0) -> None:
        """Queue a frame for the agent."""
        self._line.send(pack_frame(kind, encode_fields(fields), slot))
        self._poller.register(self._line.fileno(), self._line.wanted())

    def drain(self, kind: int, fields: Fields, slot: int) -> None:
        """Send a last frame, however long it takes."""
        self._line.drain(pack_frame(kind, encode_fields(fields), slot))

    def _obey(self, frame: Frame) -> None:
        handler = self._handlers.get(frame.kind)
        if handler is None:
            return  # of a later version of the protocol
        given = [
            self._line.descriptors.popleft() for _ in range(_DESCRIPTORS.get(frame.kind, 0)) if self._line.descriptors
        ]
        try:
            handler(frame, decode_fields(frame.body), given)
        except OSError as error:
            id_ = decode_fields(frame.body).get("id", b"")
            told = {"id": id_, "errno": b"%d" % (error.errno or 0), "message": str(error).encode("utf-8", "replace")}
            self.send(SPAWN_FAILED, told)
        finally:
            for descriptor in given:
                os.close(descriptor)

    # --- forking

    def _fork_worker(self, frame: Frame, fields: Fields, given: List[int]) -> None:
        child = self._fork(fields["id"], FORK)
        if child is None:
            from lightwork.worker.newborn import Inheritance, be_worker

            born_with = Inheritance(self.arenas, self.computations, self.environment)
            self._in_child(lambda: be_worker(born_with, fields, given))
            return
        self.send(STARTED_PID, {"id": child.id, "pid": b"%d" % child.pid})

    def _fork_template(self, frame: Frame, fields: Fields, given: List[int]) -> None:
        child = self._fork(fields["id"], TEMPLATE)
        if child is None:
            if "init" in fields:
                from lightwork.worker.ancestor import be_ancestor

                self._in_child(lambda: be_ancestor(self.arenas, fields, given))
            from lightwork.worker.template import be_template

            self._in_child(lambda: be_template(self.arenas, frame.slot, fields, given))
            return
        self.send(STARTED_PID, {"id": child.id, "pid": b"%d" % child.pid})

    def _spawn(self, frame: Frame, fields: Fields, given: List[int]) -> None:
        from lightwork.worker.holder import be_holder

        reader, writer = os.pipe()
        try:
            child = self._fork(fields["id"], SPAWN)
            if child is None:
                self._in_child(lambda: be_holder(fields, given, lift(writer), self.user))
                return
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._reports[lift_into(self._poller, reader)] = child

    def _fork(self, id_: bytes, kind: int) -> Optional[Child]:
        """None in the child, which is a session of its own by then and dies with us."""
        parent = os.getpid()
        pid = fork()
        if pid:
            child = self._children[pid] = self._by_id[id_] = Child(id_, pid, kind)
            return child
        os.setsid()
        become_subreaper()
        if kind != SPAWN:  # whoever holds a program stays who we are
            become(self.user)
        die_with_parent(parent)
        return None

    def _in_child(self, life: Callable[[], Any]) -> None:
        """Live as something else; never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._line.close()
            os.close(self._wake)
            os.close(self._wake_writer)
            for report in self._reports:
                os.close(report)
            life()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(70)

    # --- ending

    def _kill(self, frame: Frame, fields: Fields, given: List[int]) -> None:
        child = self._by_id.get(fields["id"])
        if child is not None:
            child.told = b"%d" % killing.kill_tree(child.pid)

    def _signal(self, frame: Frame, fields: Fields, given: List[int]) -> None:
        child = self._by_id.get(fields["id"])
        if child is None:
            return
        number = int(fields["signal"])
        try:
            # An interrupt is for the worker alone: it knows whether the job that was meant is still in hand.
            if child.kind == FORK and number == signal.SIGINT:
                os.kill(child.target, number)
            else:
                os.killpg(child.target, number)
        except (ProcessLookupError, PermissionError):
            pass  # it has just ended, or changed its user

    def _woken(self) -> None:
        try:
            while os.read(self._wake, 512):
                pass
        except BlockingIOError:
            pass
        self._reap()

    def _reap(self) -> None:
        """Wait for those that have died, kill what they left, and tell the agent."""
        dead = []
        for pid, child in list(self._children.items()):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                del self._children[pid]
                del self._by_id[child.id]
                dead.append((child, status, usage))
        strays = self._kill_strays() if sys.platform == "linux" else 0
        for child, status, usage in dead:
            for report in [report for report, owner in self._reports.items() if owner is child]:
                self._read_report(report)
            if not child.failed:
                self.send(DIED, _obituary(child, status, usage, strays))

    def _kill_strays(self) -> int:
        killed = 0
        for pid in killing.children_of(os.getpid()):
            if pid not in self._children and pid not in self._spared:
                if killing.state_of(pid) not in "ZX":
                    killed += 1 + killing.kill_tree(pid)
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    pass  # waited for already
        return killed

    def _read_report(self, report: int) -> None:
        """A holder tells its program's pid, or why it could not be executed."""
        child = self._reports[report]
        data = os.read(report, 4096)
        if not data:
            del self._reports[report]
            self._poller.unregister(report)
            os.close(report)
            return
        fields = decode_fields(data)
        fields["id"] = child.id
        if "errno" in fields:
            child.failed = True
            self.send(SPAWN_FAILED, fields)
        else:
            child.target = int(fields["pid"])
            self.send(STARTED_PID, fields)

    def _cleanup(self, frame: Frame, fields: Fields, given: List[int]) -> None:
        """A template runs its computation's cleanup in itself: there is what setup made."""
        from lightwork.worker.template import run_cleanup

        self.send(CLEANED, run_cleanup(self.computations.get(frame.slot)), frame.slot)


def _obituary(child: Child, status: int, usage: Any, strays: int) -> Fields:
    size = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    killed = int(child.told or b"0") + strays
    return {"id": child.id, "status": b"%d" % status, "max_rss": b"%d" % size, "strays": b"%d" % killed}


def lift_into(poller: Any, descriptor: int) -> int:
    """Lift a descriptor and have it polled."""
    high = lift(descriptor)
    poller.register(high, select.POLLIN)
    return high


def main(options: Dict[str, List[str]]) -> None:
    """The keeper's life."""
    become_subreaper()
    channel = channel_from_descriptor(lift(int(options["channel"][0])))
    arenas = Arenas(*(lifted(options.get(name, [""])[0]) for name in ("args-arena", "results-arena")))
    keeper = Keeper(channel, arenas, parse(options.get("user", [""])[0]))
    keeper.send(KEEPER_READY, {"pid": b"%d" % os.getpid(), "python": sys.version.split()[0].encode()})
    preload()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper.run()


def preload() -> None:
    """Import what every worker needs, once for all of them."""
    import lightwork.worker.holder
    import lightwork.worker.newborn
    import lightwork.worker.template  # noqa: F401

    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        pass  # jobs that need it say so
    gc.collect()
    gc.freeze()
