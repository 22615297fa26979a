"""The table of a job's states: every event in every state either leads where TRANSITIONS allows, or changes nothing.

Each cell of it, (state, kind of event), is reached by a story here, or cannot change a job, for a reason that is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from lightwork.model.states import TERMINAL, TRANSITIONS, JobState
from lightwork.scheduler.core import core as core_module, events as on
from lightwork.wire import outcome
from lightwork.wire.messages import File, JobOptions
from tests.scheduler.one_job import (
    World,
    another_era,
    back_with_nothing,
    cancelled_while,
    closed,
    delayed,
    died,
    ended,
    fails_there,
    handed_out,
    lease_over,
    over,
    pinned_and_closed,
    runs,
    stuck,
    thrice,
    told_after_restart,
    twinned,
    waits,
)

QUEUED, RUNNING, FINISHED, FAILED, CANCELLED, TIMED_OUT, LOST, POISONED = JobState


class Story(NamedTuple):
    """In this situation (with these options) that happens, and then the job is so."""

    kind: type[on.Event]
    where: Callable[..., World]
    options: dict[str, object]
    what: Callable[[World], object]
    becomes: JobState


def story(
    kind: type[on.Event], where: Callable[..., World], what: Callable[[World], object], becomes: JobState, **o: object
) -> Story:
    return Story(kind, where, o, what, becomes)


def at(*events: on.Event) -> Callable[[World], object]:
    return lambda world: world.feed(*events)


def say(make: Callable[[World], on.Event]) -> Callable[[World], object]:
    return lambda world: world.feed(make(world))


def then(*steps: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [step(world) for step in steps]


ENDS = {
    outcome.RETURNED: FINISHED,
    outcome.RAISED: FAILED,
    outcome.EXITED: FAILED,
    outcome.OUT_OF_MEMORY: FAILED,
    outcome.NOT_RUN: FAILED,
    outcome.UNSENDABLE: FAILED,
    outcome.TIMED_OUT: TIMED_OUT,
}
OWN = [kind for kind in ENDS if kind != outcome.RETURNED]
PLACES = (handed_out, runs)
STORIES = [
    # An attempt's own word.
    *(
        story(on.AttemptsEnded, where, say(lambda world, kind=kind: ended(world, kind)), state)  # type: ignore[misc]
        for where in (handed_out, runs, twinned)
        for kind, state in ENDS.items()
        if where is not twinned or kind != outcome.NOT_RUN
    ),
    story(on.AttemptsEnded, twinned, say(lambda world: ended(world, outcome.NOT_RUN, "a")), QUEUED),
    story(on.AttemptsEnded, twinned, say(lambda world: ended(world, outcome.NOT_RUN, "b")), RUNNING),
    *(
        story(on.AttemptsEnded, cancelled_while(where), say(lambda world: ended(world, outcome.CANCELLED)), CANCELLED)
        for where in (handed_out, runs, twinned)
    ),
    *(story(on.AttemptsEnded, where, say(lambda world: ended(world, outcome.CANCELLED)), QUEUED) for where in PLACES),
    *(
        story(on.AttemptsEnded, where, say(lambda world, kind=kind: ended(world, kind)), QUEUED, retries=1)  # type: ignore[misc]
        for where in PLACES
        for kind in OWN
    ),
    *(
        story(on.AttemptsEnded, twinned, say(lambda world, node=node: ended(world, 1, node)), state, retries=1)  # type: ignore[misc]
        for node, state in (("a", QUEUED), ("b", RUNNING))
    ),
    story(on.AttemptsEnded, twinned, say(lambda world: ended(world, 0, "b")), FINISHED),
    story(on.AttemptsEnded, cancelled_while(runs), say(lambda world: ended(world, 0)), FINISHED),
    story(on.AttemptsEnded, cancelled_while(runs), say(lambda world: ended(world, 1)), FAILED, retries=1),
    story(on.AttemptsStarted, handed_out, say(lambda world: on.AttemptsStarted("a", [world.job.token], [0])), RUNNING),
    story(on.AttemptsStarted, runs, say(lambda world: on.AttemptsStarted("a", [world.job.token], [0])), RUNNING),
    story(on.AttemptSpoke, handed_out, say(lambda world: on.AttemptSpoke("a", world.job.token, b"x")), RUNNING),
    story(on.AttemptSpoke, runs, say(lambda world: on.AttemptSpoke("a", world.job.token, b"x")), RUNNING),
    *(
        story(
            on.AttemptSentFile,
            where,
            say(lambda world: on.AttemptSentFile("a", world.job.token, "n", File("a", "d", 1))),
            RUNNING,
        )
        for where in PLACES
    ),
    # It comes back, or dies.
    *(
        story(on.AttemptsReturned, where, say(lambda world: on.AttemptsReturned("a", [world.job.token])), state)
        for where, state in ((handed_out, QUEUED), (cancelled_while(handed_out), CANCELLED))
    ),
    story(
        on.AttemptsReturned,
        handed_out,
        then(fails_there, say(lambda world: on.AttemptsReturned("a", [world.job.token]))),
        FAILED,
    ),
    story(on.AttemptsReturned, runs, say(lambda world: on.AttemptsReturned("a", [world.job.token])), QUEUED),
    *(story(on.AttemptsDied, where, say(lambda world: died(world, blame=True)), QUEUED) for where in PLACES),
    *(story(on.AttemptsDied, where, say(lambda world: died(world, blame=False)), QUEUED) for where in PLACES),
    *(story(on.AttemptsDied, where, thrice, POISONED) for where in PLACES),
    *(
        story(on.AttemptsDied, where, say(lambda world, blame=blame: died(world, blame=blame)), state, reentrant=False)  # type: ignore[misc]
        for where in PLACES
        for blame, state in ((True, POISONED), (False, LOST))
    ),
    *(
        story(on.AttemptsDied, cancelled_while(where), say(lambda world: died(world, blame=False)), CANCELLED)
        for where in PLACES
    ),
    *(
        story(on.AttemptsDied, where, then(fails_there, say(lambda world: died(world, blame=False))), FAILED)
        for where in PLACES
    ),
    story(on.AttemptsDied, twinned, say(lambda world: died(world, blame=True, node="b")), RUNNING),
    story(on.AttemptsDied, twinned, say(lambda world: died(world, blame=True)), QUEUED),
    # Its user does not want it.
    *(story(on.JobsCancelled, where, at(on.JobsCancelled("s", [0])), CANCELLED) for where in (waits, delayed)),
    *(
        story(on.JobsCancelled, where, at(on.JobsCancelled("s", [0])), state)
        for where, state in ((handed_out, QUEUED), (runs, RUNNING), (twinned, RUNNING))
    ),
    story(
        on.JobsCancelled,
        runs,
        then(lease_over, at(on.JobsCancelled("s", [0]))),
        CANCELLED,
        reentrant=False,
    ),
    *(story(on.CloseAsked, where, at(on.CloseAsked("s", True)), CANCELLED) for where in (waits, delayed)),
    *(
        story(on.CloseAsked, where, at(on.CloseAsked("s", True)), state)
        for where, state in ((handed_out, QUEUED), (runs, RUNNING))
    ),
    *(
        story(on.ClientLost, where, at(on.ClientLost("s")), CANCELLED)
        for where in (waits, delayed, handed_out, runs, twinned)
    ),
    *(
        story(on.NodeControlled, where, lambda world: closed(world, cancel=True), state)
        for where, state in ((waits, QUEUED), (handed_out, QUEUED), (runs, RUNNING))
    ),
    story(on.NodeControlled, twinned, closed, QUEUED),
    # Its node is lost, or comes back, or was there all the time.
    *(
        story(on.NodeLost, where, at(on.NodeLost("a", left=True)), state, **options)
        for where in PLACES
        for options, state in (({}, QUEUED), ({"reentrant": False}, LOST), ({"node": "a"}, LOST))
    ),
    *(story(on.NodeLost, cancelled_while(where), at(on.NodeLost("a", left=True)), CANCELLED) for where in PLACES),
    story(on.NodeLost, delayed, at(on.NodeLost("a", left=True)), LOST, node="a"),
    story(on.NodeLost, twinned, at(on.NodeLost("a", left=True)), QUEUED),
    *(story(on.TimePassed, where, lease_over, QUEUED) for where in (*PLACES, twinned)),
    *(
        story(on.TimePassed, where, then(lease_over, lambda world: lease_over(world, 70)), LOST, **options)
        for where in PLACES
        for options in ({"reentrant": False}, {"node": "a"})
    ),
    *(story(on.TimePassed, cancelled_while(where), lease_over, CANCELLED) for where in PLACES),
    *(
        story(
            on.TimePassed,
            where,
            then(at(on.ClientAway("s")), lambda world: world.later(40), at(on.TimePassed())),
            CANCELLED,
        )
        for where in (waits, *PLACES)
    ),
    story(on.TimePassed, handed_out, stuck, QUEUED, reentrant=True),
    story(on.TimePassed, cancelled_while(handed_out), then(World.restart, lease_over), CANCELLED),
    *(story(on.NodeBeat, where, back_with_nothing, QUEUED) for where in PLACES),
    *(story(on.NodeBeat, where, back_with_nothing, LOST, reentrant=False) for where in PLACES),
    *(story(on.NodeBeat, cancelled_while(where), back_with_nothing, CANCELLED) for where in PLACES),
    *(story(on.NodeTruth, handed_out, lambda world, s=stage: told_after_restart(world, s), state)  # type: ignore[misc]
      for stage, state in ((0, QUEUED), (1, RUNNING), (2, RUNNING))),
    story(on.NodeTruth, runs, told_after_restart, QUEUED),
    story(on.NodeTruth, runs, told_after_restart, QUEUED, reentrant=False),
    story(on.NodeTruth, runs, another_era, LOST, reentrant=False),
    story(on.NodeTruth, cancelled_while(handed_out), told_after_restart, CANCELLED),
    # Its computation.
    *(
        story(on.ComputationFailed, where, then(at(on.NodeJoined("a", 1)), fails_there), state)
        for where, state in ((waits, QUEUED), (delayed, FAILED), (handed_out, QUEUED), (runs, RUNNING))
    ),
    story(
        on.ComputationFailed,
        handed_out,
        then(say(lambda world: on.AttemptsReturned("a", [world.job.token])), fails_there),
        QUEUED,  # it was handed out again: it comes back
    ),
    story(on.SessionReleased, handed_out, pinned_and_closed, LOST, node="a"),
]  # fmt: skip

# What no event of these kinds does to a job, and why.
NO_CHANGE = {
    on.JobsSubmitted: "it makes jobs; one that is there is known by its number",
    on.ClientJoined: "what its jobs do does not depend on who looks",
    on.ClientAway: "its jobs go on until its lease is over, and that is a matter of time",
    on.ClientDetached: "its jobs go on",
    on.ResultsTaken: "speaks of jobs that have ended",
    on.ResultsRecalled: "speaks of jobs that have ended",
    on.JobsNamed: "a name is no state",
    on.StorageFull: "new jobs are refused; those that are there go on",
    on.ClientCongested: "nothing more is handed out; a job that waits waits on",
    on.ClientDrained: "jobs may be handed out again: QUEUED to their user until they start",
    on.ComputationDefined: "jobs come later",
    on.ComputationReady: "the node starts what it has, and says so",
    on.NodeJoined: "a job that is handed out is QUEUED to its user",
    on.NodesSpoke: "a sign of life, and no more",
    on.FilesTaken: "speaks of jobs that have ended, or of their files",
    on.TermsTold: "says when jobs are placed; those that are handed out stay where they are",
    on.WeSlept: "clocks are set right, nobody is lost by that",
    on.NodeDraining: "what runs there goes on",
    on.NodesWanted: "looks for nodes",
    on.NodeHeard: "looks for nodes",
    on.StrangerRefused: "no node of ours",
    on.NodeUnreached: "no node of ours",
    on.NodeAllotted: "a job may be handed out: QUEUED to its user",
    on.NodeTailored: "holds for later preparations",
    on.NodeJobsAsked: "a question",
    on.HeldTold: "an answer for people",
    on.FileGiven: "files beside the jobs",
    on.FilePlaced: "files beside the jobs",
    on.HostsChanged: "nodes are asked for what has not started, or told to end what runs: their answers change jobs",
    on.ComputationUpdated: "jobs keep what they were submitted with",
    on.ReadyAwaited: "a question",
}
# (state, event) where a job in that state cannot be touched by that event.
IMPOSSIBLE = {
    (RUNNING, on.SessionReleased): "a node is asked to forget a session when none of its jobs is there any more",
}


@pytest.mark.parametrize(
    "told", STORIES, ids=lambda told: f"{told.kind.__name__}-{told.where.__name__}-{told.becomes.name}"
)
def test_story(told: Story) -> None:
    world = told.where(**told.options)
    assert world.job.state < FINISHED
    told.what(world)
    assert world.job.state is told.becomes
    if told.becomes in TERMINAL:
        assert "s" not in world.state.sessions or 0 not in world.state.sessions["s"].jobs
        assert world.ends in ([int(told.becomes)], []), "more than one end was told"


def test_every_event_is_in_the_table() -> None:
    kinds = set(core_module._HANDLERS)
    told = {told.kind for told in STORIES}
    assert kinds == told | NO_CHANGE.keys()
    assert not told & NO_CHANGE.keys()


def states_before(told: Story) -> JobState:
    return told.where(**told.options).job.state


def test_every_cell_is_reached_and_every_transition_made() -> None:
    reached: dict[tuple[JobState, type[on.Event]], set[JobState]] = {}
    for told in STORIES:
        reached.setdefault((states_before(told), told.kind), set()).add(told.becomes)
    kinds = {told.kind for told in STORIES}
    cells = {(state, kind) for state in (QUEUED, RUNNING) for kind in kinds}
    assert cells - reached.keys() == IMPOSSIBLE.keys()
    made: dict[JobState, set[JobState]] = {}
    for (state, _), after in reached.items():
        made.setdefault(state, set()).update(after - {state})
    assert made == {state: set(after) for state, after in TRANSITIONS.items() if after}


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_happens_to_a_job_that_has_ended(state: JobState) -> None:
    for what in (
        *(lambda world, kind=kind: world.feed(ended(world, kind)) for kind in ENDS),
        lambda world: world.feed(died(world, blame=True)),
        lambda world: world.feed(died(world, blame=False)),
        lambda world: world.feed(on.AttemptsStarted("a", [1 << 40 | 1], [0])),
        lambda world: world.feed(on.AttemptsReturned("a", [1 << 40 | 1])),
        lambda world: world.feed(on.AttemptSpoke("a", 1 << 40 | 1, b"x")),
        lambda world: world.feed(on.AttemptSentFile("a", 1 << 40 | 1, "n", File("a", "d", 1))),
        lambda world: world.feed(on.JobsCancelled("s", [0])),
        lambda world: world.feed(on.JobsSubmitted("s", "f", 0, [b"x"], JobOptions())),
        lambda world: world.feed(on.NodeLost("a", left=True)),
        lambda world: world.feed(on.ComputationFailed("a", "s", "f", {"type": b"X"})),
        lambda world: lease_over(world, 100),
    ):
        world = over(state)
        world.feed(on.NodeJoined("a", 1))
        what(world)
        assert world.job.state is state
        assert world.ends == [int(state)]
        assert 0 not in world.state.sessions["s"].jobs if "s" in world.state.sessions else True
