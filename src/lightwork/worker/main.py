"""A worker: takes jobs from its channel, runs one at a time, writes each end into the shared ring (loop.py).

LOAD --> computations, by slot        RUN --> Frame --> run_batch --> records, BELL
RETIRING <-- when a job did something to the process that cannot be set back; then it only waits for QUIT
"""

from __future__ import annotations

import os
import sys
import time
from typing import Callable, Dict, List, Optional, Tuple

from lightwork.wire.channel import (
    BELL,
    CLEANED,
    CLEANUP,
    LOAD,
    LOAD_FAILED,
    LOADED,
    QUIT,
    READY,
    RETIRING,
    RUN,
    U64,
    UNLOAD,
    pack_frame,
    unpack_run,
)
from lightwork.wire.outcome import decode_fields, encode_fields
from lightwork.wire.shared_file import words_of
from lightwork.worker import cancel, context, failure
from lightwork.worker.arena import Arena
from lightwork.worker.calls import Frame, Host
from lightwork.worker.jobs import Computation, Environment
from lightwork.worker.kinds import exit_code
from lightwork.worker.link import Gone, Hand, Link
from lightwork.worker.loop import run_batch
from lightwork.worker.output import Output, Streams
from lightwork.worker.process import child_waiter
from lightwork.worker.restore import Restorer
from lightwork.worker.travel import Packer

_BELL = pack_frame(BELL)
_RING_PAUSE_S = 0.0002


class Worker:
    """One worker process, between frames."""

    def __init__(self, link: Link, view: memoryview, arena: Arena, readers: Optional[Tuple[int, int]]) -> None:
        self.link, self.view, self.arena = link, view, arena
        self.words = words_of(view)
        self.hand = Hand()
        self.output = Output(link, self.words, readers)
        self.restorer = Restorer(self.output)
        self.packer = Packer()
        self.has_children = child_waiter()
        self.computations: Dict[int, Computation] = {}
        self.environment = Environment()
        self.serial = 0
        self.unrung = 0
        self.frame: Optional[Frame] = None
        self.check: Callable[[int], str] = lambda took: ""
        self.retiring = ""
        self.forked = False
        self.broken: Optional[failure.Fields] = None  # why nothing can be loaded here

    def serve(self) -> None:
        """Until the agent says QUIT or is gone."""
        handlers: Dict[int, Callable[[int, int, memoryview], None]] = {
            RUN: self.run,
            LOAD: self.load,
            CLEANUP: self.cleanup,
            UNLOAD: self.unload,
        }
        while True:
            if not (self.retiring or self.link.pending()) and self.has_children():
                self._after_strays()
                if self.retiring:
                    self._retire()
            kind, slot, count, body = self.link.next()
            if kind == QUIT:
                return
            if kind in handlers and not self.retiring:
                handlers[kind](slot, count, body)

    # --- computations

    def load(self, slot: int, count: int, body: memoryview) -> None:
        """LOAD: unpickle a computation, and run its setup if it is to run here."""
        failed = self.load_fields(slot, decode_fields(bytes(body)))
        if failed is None:
            self.link.send(LOADED, slot=slot)
        else:
            self.link.send(LOAD_FAILED, encode_fields(failed), slot)
            self.computations.pop(slot, None)

    def load_fields(self, slot: int, fields: Dict[str, bytes]) -> Optional[failure.Fields]:
        """Hold a computation under `slot`; returns the failure's fields, or None."""
        if self.broken is not None:
            return dict(self.broken)
        during = b"load"
        try:
            computation = self.computations[slot] = Computation(fields)
            self.restorer.enter(computation.place)
            computation.load(fields)
            if fields.get("run_setup"):
                during = b"setup"
                self.environment.set_up(computation)
            else:
                self.environment.give(computation)
        except BaseException as error:  # users' modules and setups run here: whatever they raise is their answer
            failed = failure.describe(error)
            failed["during"] = during
            return failed
        finally:
            self.output.flush()
        return None

    def cleanup(self, slot: int, count: int, body: memoryview) -> None:
        """CLEANUP: run a computation's cleanup."""
        computation = self.computations.get(slot)
        fields: failure.Fields = {}
        try:
            if computation is not None and computation.cleanup is not None:
                self.restorer.enter(computation.place)
                computation.cleanup.run()
        except BaseException as error:  # users' code
            fields = failure.describe(error)
        self.output.flush()
        self.link.send(CLEANED, encode_fields(fields), slot)

    def unload(self, slot: int, count: int, body: memoryview) -> None:
        """UNLOAD: forget a computation."""
        self.computations.pop(slot, None)

    # --- jobs

    def run(self, slot: int, count: int, body: memoryview) -> None:
        """RUN: the jobs of one frame."""
        options, tokens, lengths, at, shift = unpack_run(body, count)
        computation = self.computations.get(slot)
        frame = self.frame = Frame(computation or Computation({}), options, tokens, shift)
        if computation is None:
            frame.broken = LookupError("the computation has not been loaded")
        self.output.limit = frame.output_limit
        try:
            self.restorer.enter(frame.place)
            frame.begin(self.output)
        except Exception as error:  # the directory is gone, the injected names cannot be loaded, ...
            frame.broken = error
        self.check = self.restorer.checker()
        try:
            run_batch(self, frame, lengths, body, at)
        finally:
            frame.end(self.output)
        self.bell()
        if self.retiring:
            self._retire()

    def _retire(self) -> None:
        """Say that we take no more jobs, and which was the last."""
        reason = encode_fields({"reason": self.retiring.encode("utf-8", "replace")})
        self.link.send(RETIRING, U64.pack(self.serial) + reason)

    def bell(self) -> None:
        """Tell the agent that there are records, if there are new ones."""
        if self.unrung:
            self.unrung = 0
            self.link.ring(_BELL)

    def in_child(self) -> None:
        """The job has forked, and this is the child: nothing of the worker's is its business."""
        self.forked = True
        self.link.close()

    def leave_child(self, error: Optional[BaseException]) -> None:
        """The job forked and returned in the child too: that is the end of the child, not a second worker."""
        code = 0
        if isinstance(error, SystemExit):
            code = exit_code(error)
        elif error is not None:
            sys.stderr.write(failure.traceback_of(error))
            code = 1
        self.output.flush()
        os._exit(code)

    def tidy(self, whole: bool) -> None:
        """End what the job left running, set descriptors back."""
        if self.has_children():
            self._after_strays()
        self.output.restore_descriptors(whole)

    def collect(self, events: List[Tuple[int, int]]) -> Optional[Streams]:
        """There is output in our own pipes, or a descriptor of the job's is closed."""
        if any(event[0] < 3 for event in events):
            self.output.repair()
        return self.output.read()

    def damaged(self, error: OSError) -> None:
        """A job closed descriptors of ours, high up: its result still counts, but we take no more."""
        self.retiring = "a job closed the worker's descriptors (%s)" % error

    def _after_strays(self) -> None:
        self.retiring = self.restorer.kill_children() or self.retiring

    def wait_for_room(self) -> None:
        """The ring is full: ring the bell and give the agent time."""
        self.unrung = max(1, self.unrung)
        self.bell()
        time.sleep(_RING_PAUSE_S)
        if self.link.ended():
            raise Gone("agent gone while the ring was full")


def live(worker: Worker, greeted: bool = False) -> None:
    """The worker's life, to its end; never returns."""
    code = 0
    try:
        cancel.install(worker.words, worker.hand)
        worker.restorer.keep_handlers()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=worker.in_child)
        context.host = Host(worker)
        if not greeted:
            ready = {"pid": b"%d" % os.getpid(), "python": sys.version.split()[0].encode()}
            worker.link.send(READY, encode_fields(ready))
        worker.serve()
        leave(worker)
    except Gone:
        pass  # the agent left or died: so do we
    except BaseException as error:  # ours, hence the last word goes to the node's log by way of stderr
        sys.stderr.write(failure.traceback_of(error))
        code = 70
    finally:
        worker.output.flush()
        os._exit(code)


def leave(worker: Worker) -> None:
    """In good order: what users' modules registered with atexit runs."""
    import atexit

    from lightwork.worker import node_module

    node_module.close()

    if hasattr(atexit, "_run_exitfuncs"):
        atexit._run_exitfuncs()
