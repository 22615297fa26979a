"""The scheduler's core: one handler per event, in the file of its table. See the room's docstring.

`feed` takes the events of one turn; jobs are placed once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lightwork.model.states import JobState
from lightwork.scheduler.core import attempts, clients, control, events as on, machines, preparing, seeking
from lightwork.scheduler.core.explain import explain
from lightwork.scheduler.core.placement import place
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.takeback import take_back
from lightwork.wire.messages import Status

WAITING_SHOWN = 10  # groups whose reasons a status gives

_HANDLERS: dict[type[on.Event], Callable[[State, Any], Commands]] = {
    on.ClientJoined: clients.on_client_joined,
    on.ClientLost: clients.on_client_lost,
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
    on.FileGiven: control.on_file_given,
    on.FilePlaced: control.on_file_placed,
    on.AttemptsStarted: attempts.on_attempts_started,
    on.AttemptsEnded: attempts.on_attempts_ended,
    on.AttemptsReturned: attempts.on_attempts_returned,
    on.AttemptsDied: attempts.on_attempts_died,
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
        on.FileGiven,
    )
)


class Core:
    """Told events, it answers with commands."""

    def __init__(self, epoch: int = 1) -> None:
        self.state = State(epoch)

    def feed(self, events: Iterable[on.Event], now_ns: int) -> Commands:
        """What is to be done after these events, which happened by `now_ns` (monotonic)."""
        state = self.state
        state.now_ns = now_ns
        commands: Commands = []
        for event in events:
            if not self._concerns(event):
                continue
            commands += _HANDLERS[type(event)](state, event)
        if state.leaving or state.released:
            commands += control.let_go(state)
        commands += place(state.queue, state.nodes, state.sessions, state.tokens)
        commands += take_back(state.queue, state.nodes, state.sessions, now_ns)
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
        status.attempted = seeking.attempted(state, session)
        return status

    def _waiting(self, session_name: str) -> list[str]:
        """Why the first waiting groups wait, each reason once."""
        state = self.state
        groups = [group for group, _ in state.queue.lines() if group.session == session_name][:WAITING_SHOWN]
        if state.sessions[session_name].congested:
            return ["the client does not take results as fast as they come"]
        session = state.sessions[session_name]
        reasons = [reason for group in groups for reason in explain(state.nodes.values(), session, group)]
        return list(dict.fromkeys(reasons))
