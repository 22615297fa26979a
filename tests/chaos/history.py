"""What was done to whom: the conductor's own record, and what follows from it for a job.

A node is *absent* while its scheduler cannot hear it: it is dead, stopped or cut off, or the scheduler is stopped or
cut off; one behind the relay also while the relay is dead or stopped, or the link is cut. Its lease is a longer one. A
dead scheduler makes no node absent: that is the promise. An absence lasts until the node has certainly had the time to
come back, so what is excused by it is rather too much; what follows a restart of the scheduler alone never is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.chaos.oracle import SECOND, Run

GRACE_NS = SECOND  # from a job's last line until its end lies where it survives; more than enough
BACK_NS = 4 * SECOND  # to dial again, and to be heard
SCHEDULER_HOST, RELAY_HOST, GATEWAY = "s", "r", "g"  # the gateway is the link between the two networks


class Event(NamedTuple):
    """Something that was done. what: kill, up, stop, cont, cut, heal; kind: of process, or "host", or "link"."""

    at: int
    what: str
    kind: str
    whom: str
    pid: int = 0

    def text(self, began: int) -> str:
        """For people."""
        process = f" (process {self.pid})" if self.pid else ""
        return f"{(self.at - began) / SECOND:7.2f} s  {self.what} {self.kind} {self.whom}{process}"


class Span(NamedTuple):
    """From, to."""

    begin: int
    end: int


ENDS = {"kill": "up", "stop": "cont", "cut": "heal"}


class History:
    """Of one performance. `leases_s`: of each node; `behind`: nodes of the relay; `lost_s`: as the timers were."""

    def __init__(
        self, events: Sequence[Event], leases_s: Mapping[str, float], behind: Collection[str], lost_s: float
    ) -> None:
        self.events = sorted(events)
        self._leases = {node: int(lease_s * SECOND) for node, lease_s in leases_s.items()}
        self._lost = int(lost_s * SECOND)
        self._behind = behind
        self._absences = {node: _joined(sorted(self._absent(node))) for node in leases_s}
        self._aways = _joined(sorted(self._away()))

    def _absent(self, node: str) -> Iterator[Span]:
        for event in self.events:
            mine = (event.kind in ("node", "host") and event.whom == node) or (
                event.kind == "host" and event.whom == SCHEDULER_HOST
            )
            far = node in self._behind and event.kind in ("relay", "link")
            if mine or far or (event.kind == "scheduler" and event.what == "stop"):
                yield from self._until_over(event, event.kind)

    def _away(self) -> Iterator[Span]:
        """When nothing could be told to the scheduler, or nothing was written down."""
        for event in self.events:
            if event.kind in ("scheduler", "journal"):
                yield from self._until_over(event, "scheduler" if event.what == "kill" else event.kind)

    def _until_over(self, event: Event, kind: str) -> Iterator[Span]:
        over = ENDS.get(event.what)
        if over is not None:
            ends = (
                one.at
                for one in self.events
                if one.at > event.at and (one.kind, one.whom) == (kind, event.whom) and one.what in (over, "kill")
            )
            yield Span(event.at, next(ends, self.events[-1].at) + BACK_NS)

    def absences(self, node: str) -> list[Span]:
        """Those of a node, joined where they touch."""
        return self._absences.get(node, [])

    # --- what excuses something that happened to this run, before `until` ---

    def worker_died(self, run: Run, until: int) -> bool:
        """By our hand or its own, and under a living agent: the job is to blame, as far as anybody can tell."""
        return bool(run.dies) or self._killed(("worker",), run, until, pid=run.pid)

    def node_died(self, run: Run, until: int) -> bool:
        """Agent or keeper were killed while it ran."""
        return self._killed(("node", "keeper"), run, until)

    def _killed(self, kinds: tuple[str, ...], run: Run, until: int, pid: int = 0) -> bool:
        until = self._over(run, until)
        return any(
            event.what == "kill"
            and event.kind in kinds
            and event.whom == run.host
            and (not pid or event.pid == pid)
            and run.at <= event.at <= until
            for event in self.events
        )

    def presumed_dead(self, run: Run, until: int) -> bool:
        """Its node was absent past the lease before its end can have arrived."""
        return any(span.end - span.begin > self._leases[run.host] for span in self._meeting(run, until))

    def unreachable(self, run: Run, until: int) -> bool:
        """So long that a `reentrant=False` job is given up."""
        return any(span.end - span.begin > self._leases[run.host] + self._lost for span in self._meeting(run, until))

    def anywhere_unreachable(self) -> bool:
        """Some node was, at some time: a job may have been granted there that never started."""
        return any(
            span.end - span.begin > self._leases[node] + self._lost
            for node, spans in self._absences.items()
            for span in spans
        )

    def _meeting(self, run: Run, until: int) -> list[Span]:
        told = self._over(run, until)
        for span in self._aways:
            if run.last and span.begin <= told <= span.end:
                told = min(until, span.end)
        return [span for span in self.absences(run.host) if span.begin <= told and run.at <= span.end]

    def _over(self, run: Run, until: int) -> int:
        """When its end had certainly been written down on its node. A stopped process writes nothing meanwhile."""
        if not run.last:
            return until
        over = run.last + GRACE_NS
        for event in self.events:
            if event.what == "stop" and event.kind in ("worker", "node", "keeper") and event.whom == run.host:
                for span in self._until_over(event, event.kind):
                    if span.begin <= over <= span.end:
                        over = span.end
        return min(until, over)


def _joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for span in spans:
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found
