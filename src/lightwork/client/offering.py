"""Nodes that the user's NodeAllocate decides about: offered by the scheduler, answered with Tailor and Allot.

    thread that reads ── OfferNode ──> queue ──> a thread of its own ── allocate(...) ──> Tailor, Allot

The user's code may take as long as it likes there; one node after another, so that it needs no locks.
"""

from __future__ import annotations

import queue
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any

from lightwork.client.allocation import NodeAllocate, NodeAvailInfo, check, decides, place_of
from lightwork.client.nodes import host_of
from lightwork.client.options import depends_of
from lightwork.client.tailoring import Fittings, Own
from lightwork.client.waiting import say
from lightwork.model.errors import LightworkError, UserError
from lightwork.wire.messages import Allot, NodeStatus, OfferNode, Tailor, Wanted

if TYPE_CHECKING:
    from lightwork.client.session import Session


class Offers:
    """Of one session; `cluster` is what users' functions are given."""

    def __init__(self, cluster: Any, fittings: Fittings) -> None:
        self.session: Session | None = None  # once it is there
        self._cluster = weakref.ref(cluster)
        self.fittings = fittings
        self._specs: list[tuple[NodeAllocate, Own]] = []
        self._queue: queue.SimpleQueue[OfferNode | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def wanted(self, spec: NodeAllocate) -> Wanted:
        """The wish that stands for it; raises UserError if what it has of its own cannot be sent."""
        check(spec)
        host, port = place_of(spec)
        return Wanted(host, port, spec.cpus, self._number(spec) if decides(spec) else -1)

    def _number(self, spec: NodeAllocate) -> int:
        own = _own_of(spec)
        if any(own):
            self.fittings.make(own, repr(spec.host))  # what is wrong with it is told now, and not when a node is there
        self._specs.append((spec, own))
        if self._thread is None:  # now: at the interpreter's exit no thread can be started
            self._thread = threading.Thread(target=self._run, name="lightwork-allocate", daemon=True)
            self._thread.start()
        return len(self._specs) - 1

    def attach(self, session: Session) -> None:
        """Where to answer."""
        self.session = session
        session.offers = self

    def offered(self, message: OfferNode) -> None:
        """A node is there (for the one who reads)."""
        self._queue.put(message)

    def stop(self) -> None:
        """No more will come."""
        self._queue.put(None)

    def _run(self) -> None:
        while (offer := self._queue.get()) is not None:
            slots = 0
            try:
                slots = self._decide(offer)
            except LightworkError as error:
                say(f"error: node {offer.node.name} is not used: {error}")
            except BaseException as error:  # noqa: BLE001  a user's function; the thread must go on to the next node
                trace = "".join(traceback.format_exception(error))
                say(f"error: node {offer.node.name} is not used: allocate() raised:\n{trace.rstrip()}")
            self._tell(Allot(offer.node.name, slots))

    def _decide(self, offer: OfferNode) -> int:
        if not 0 <= offer.spec < len(self._specs):
            raise UserError(f"there is no NodeAllocate number {offer.spec}")
        spec, given = self._specs[offer.spec]
        node = offer.node
        spec.depends, spec.setup_args = list(given.depends), given.setup_args
        slots = node.offered or node.slots
        answer = spec.allocate(self._cluster(), *_described(node, slots))
        if isinstance(answer, bool) or not isinstance(answer, int):
            raise UserError(f"allocate() returned {answer!r}", hint="a number of slots; 0 leaves the node out")
        check(spec)
        own = _own_of(spec)
        if answer and any(own):
            self._send_tailoring(node.name, own)
        return max(0, min(slots, answer if answer >= 0 else slots + answer))

    def _send_tailoring(self, node: str, own: Own) -> None:
        made = self.fittings.make(own, repr(node))
        self.fittings.given[node] = own
        if self.session is not None:
            self.session.blobs.keep(made.blobs)
        self._tell(Tailor(node, made.wire))

    def _tell(self, message: Allot | Tailor) -> None:
        session = self.session
        if session is not None and not session.connection.closed:
            session.connection.send(message)


def _own_of(spec: NodeAllocate) -> Own:
    return Own(depends_of(spec.depends), tuple(spec.setup_args))


def _described(node: NodeStatus, slots: int) -> tuple[str, str, int, NodeAvailInfo | None, str]:
    """What `allocate` is told: ip_addr, name, cpus, avail_info, platform."""
    load, hardware = node.load, node.hardware
    info = None
    if load is not None:
        info = NodeAvailInfo(
            load.cpu_free_percent, load.memory_free_bytes, load.disk_free_bytes, load.swap_free_percent
        )
    platform = f"{hardware.system}-{hardware.architecture}" if hardware is not None else ""
    return host_of(node.address), node.name, slots, info, platform
