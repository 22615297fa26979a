"""The scheduler's core: one handler per event, in the file of its table. See the room's docstring.

`feed` takes the events of one turn; jobs are placed once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lightwork.model.states import JobState
from lightwork.scheduler.core import (
    attaching,
    attempts,
    clients,
    commands as do,
    control,
    events as on,
    exclusive,
    hosts,
    losses,
    machines,
    preparing,
    reasons as reasons_of,
    recovery,
    seeking,
    step,
)
from lightwork.scheduler.core.binding import bind, settle
from lightwork.scheduler.core.impossible import judge
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.parting import part
from lightwork.scheduler.core.placement import place
from lightwork.scheduler.core.policies import FAIR
from lightwork.scheduler.core.retries import try_again, waiting
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.stuck import far_ones
from lightwork.scheduler.core.takeback import make_way, take_back
from lightwork.scheduler.core.tried import attempted
from lightwork.scheduler.core.twins import speculate
from lightwork.wire.messages import Status

WAITING_SHOWN = 10  # groups whose reasons a status gives

_HANDLERS: dict[type[on.Event], Callable[[State, Any], Commands]] = {
    on.ClientJoined: clients.on_client_joined,
    on.ClientLost: clients.on_client_lost,
    on.ClientAway: attaching.on_client_away,
    on.ClientDetached: attaching.on_client_detached,
    on.ResultsTaken: attaching.on_results_taken,
    on.ResultsRecalled: attaching.on_results_recalled,
    on.JobsNamed: attaching.on_jobs_named,
    on.StorageFull: clients.on_storage_full,
    on.NodeTruth: recovery.on_node_truth,
    on.ClientCongested: clients.on_client_congested,
    on.ClientDrained: clients.on_client_drained,
    on.CloseAsked: clients.on_close_asked,
    on.ComputationDefined: clients.on_computation_defined,
    on.JobsSubmitted: clients.on_jobs_submitted,
    on.JobsCancelled: clients.on_jobs_cancelled,
    on.NodeJoined: machines.on_node_joined,
    on.NodeLost: machines.on_node_lost,
    on.NodeBeat: machines.on_node_beat,
    on.NodesSpoke: machines.on_nodes_spoke,
    on.FilesTaken: control.on_files_taken,
    on.WeSlept: machines.on_we_slept,
    on.TimePassed: machines.on_time_passed,
    on.SessionReleased: machines.on_session_released,
    on.ComputationReady: preparing.on_computation_ready,
    on.ComputationFailed: preparing.on_computation_failed,
    on.NodeDraining: machines.on_node_draining,
    on.NodesWanted: seeking.on_nodes_wanted,
    on.NodeHeard: seeking.on_node_heard,
    on.StrangerRefused: seeking.on_stranger_refused,
    on.NodeUnreached: seeking.on_node_unreached,
    on.NodeAllotted: seeking.on_node_allotted,
    on.NodeTailored: control.on_node_tailored,
    on.NodeControlled: control.on_node_controlled,
    on.NodeJobsAsked: control.on_node_jobs_asked,
    on.HeldTold: control.on_held_told,
    on.HostsChanged: hosts.on_hosts_changed,
    on.TermsTold: exclusive.on_terms_told,
    on.ComputationUpdated: step.on_computation_updated,
    on.ReadyAwaited: step.on_ready_awaited,
    on.FileGiven: control.on_file_given,
    on.FilePlaced: control.on_file_placed,
    on.AttemptsStarted: attempts.on_attempts_started,
    on.AttemptsEnded: attempts.on_attempts_ended,
    on.AttemptsReturned: losses.on_attempts_returned,
    on.AttemptsDied: losses.on_attempts_died,
    on.AttemptSpoke: attempts.on_attempt_spoke,
    on.AttemptSentFile: attempts.on_attempt_sent_file,
}


_OF_NODES = frozenset(
    (
        on.NodeBeat,
        on.AttemptsStarted,
        on.AttemptsEnded,
        on.AttemptsReturned,
        on.AttemptsDied,
        on.AttemptSpoke,
        on.AttemptSentFile,
        on.HeldTold,
        on.ComputationReady,
        on.ComputationFailed,
        on.NodeTruth,
    )
)
_OF_SESSIONS = frozenset(
    (
        on.CloseAsked,
        on.ComputationDefined,
        on.JobsSubmitted,
        on.JobsCancelled,
        on.NodesWanted,
        on.NodeAllotted,
        on.NodeTailored,
        on.NodeControlled,
        on.NodeJobsAsked,
        on.TermsTold,
        on.ComputationUpdated,
        on.ReadyAwaited,
        on.FileGiven,
        on.ClientAway,
        on.ClientDetached,
        on.ResultsTaken,
        on.ResultsRecalled,
        on.JobsNamed,
    )
)


class Core:
    """Told events, it answers with commands."""

    def __init__(
        self,
        epoch: int = 1,
        ledger: Ledger | None = None,
        now_ns: int = 0,
        wall_ns: int = 0,
        *,
        order: str = FAIR,
        resources: Mapping[str, int] | None = None,
    ) -> None:
        """`ledger`: what earlier lives have written down (which may be nothing); None: nothing is written down.
        `order`: one of policies.ORDERS; `resources`: what the scheduler lends to jobs wherever they run."""
        self.state = State(epoch if ledger is None else ledger.epoch + 1, order, resources)
        self.state.wall_ns = wall_ns
        if ledger is not None:
            recovery.restore(self.state, ledger, now_ns)

    def feed(self, events: Iterable[on.Event], now_ns: int) -> Commands:
        """What is to be done after these events, which happened by `now_ns` (monotonic)."""
        state = self.state
        state.now_ns = now_ns
        if state.ledger is not None:
            return self._feed_durably(state.ledger, events)
        commands: Commands = []
        for event in events:
            if self._concerns(event):
                if state.killing and type(event) is on.AttemptsEnded:
                    for one in recovery.without_strays(state, event):
                        commands += _HANDLERS[type(one)](state, one)
                    continue
                commands += _HANDLERS[type(event)](state, event)
        return commands + self._afterwards()

    def _feed_durably(self, ledger: Ledger, events: Iterable[on.Event]) -> Commands:
        """The same, and what must be written down first."""
        state = self.state
        commands: Commands = []
        for event in events:
            if self._concerns(event):
                if type(event) is on.AttemptsEnded and state.late:
                    commands += bind(state, ledger, recovery.take_late(state, event))
                for one in recovery.without_strays(state, event) if type(event) is on.AttemptsEnded else (event,):
                    commands += bind(state, ledger, _HANDLERS[type(one)](state, one))
                commands += settle(state, event)
        commands += bind(state, ledger, self._afterwards())
        state.note_gone()
        if ledger.unneeded:
            commands.append(do.Discard([one for one in ledger.unneeded if one not in ledger.needs], state.recorded))
            ledger.unneeded.clear()
        fresh: Commands = [*state.fresh]
        state.fresh.clear()
        return fresh + commands

    def _afterwards(self) -> Commands:
        """What follows from all of them together."""
        state = self.state
        commands: Commands = []
        if state.leaving or state.released:
            commands += control.let_go(state)
        if state.parting and not state.restoring:
            commands += part(state)
        if state.barriers:
            commands += step.look(state)
        if not state.restoring:
            if state.exclusive:
                exclusive.end_those_over(state)
            if state.delays.size:
                try_again(state)
            if state.queue.unjudged:
                commands += judge(state)
            placed, blocked = place(state)
            commands += placed
            commands += make_way(state, blocked) if blocked else take_back(state)
            if state.speculative:
                commands += speculate(state)
            commands += state.alarm()
        return commands

    def _concerns(self, event: Any) -> bool:
        """Whether it speaks of somebody whom an earlier event of the same turn has not removed."""
        kind = type(event)
        if kind in _OF_NODES:
            return event.node in self.state.nodes
        return kind not in _OF_SESSIONS or event.session in self.state.sessions

    def argument(self, node: str, token: int) -> tuple[bytes | None, bool]:
        """What an attempt on this node is called with, and whether that is only where it lies; None if it is over."""
        found = self.state.nodes.get(node)
        job = found.attempts.get(token) if found is not None else None
        return (None, False) if job is None else (job.payload, job.in_arena)

    def status(self, session_name: str, number: int) -> Status:
        """The answer to a client's question how things stand."""
        state = self.state
        session = state.sessions[session_name]
        running = sum(job.state is JobState.RUNNING for job in session.jobs.values())
        nodes = [node.status() for node in state.nodes.values()]
        status = Status(number, nodes, len(session.jobs) - running, running, self._waiting(session_name))
        status.attempted = attempted(state, session)
        status.twins_started, status.twins_won = session.twins_started, session.twins_won
        status.retried, status.slow = session.retried, far_ones(state, session_name, WAITING_SHOWN)
        return status

    def why(self, session: str, job: int) -> list[str]:
        """Why this job is where it is, in lines."""
        return reasons_of.why(self.state, session, job)

    def _waiting(self, session_name: str) -> list[str]:
        """Why the first waiting groups wait, each reason once."""
        state = self.state
        groups = [group for group, _ in state.queue.lines() if group.session == session_name][:WAITING_SHOWN]
        session = state.sessions[session_name]
        reasons = [reason for group in groups for reason in reasons_of.explain(state, session, group)]
        return [*dict.fromkeys(reasons), *waiting(state, session_name, WAITING_SHOWN)]
