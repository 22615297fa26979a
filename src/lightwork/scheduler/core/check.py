"""What always holds, whatever happened: called after every event in tests."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core.accord import accord
from lightwork.scheduler.core.explain import refusal
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.nodes import HERE, Node
from lightwork.scheduler.core.retries import OWN_ENDS
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State
from lightwork.scheduler.core.twins import runs


def check(state: State) -> list[str]:
    """Sentences about what is wrong; empty if all is well."""
    return [
        *_attempts(state),
        *_jobs(state),
        *_queue(state),
        *_running(state),
        *_counts(state),
        *_field(state),
        *_told(state),
        *accord(state),
    ]


def _attempts(state: State) -> Iterator[str]:
    seen: set[int] = set()
    for node in state.nodes.values():
        for token, job in node.attempts.items():
            if (node.name, token) not in job.live():
                yield f"attempt {token} on {node.name} is of job {job.number}, which says {job.live()}"
            if state.sessions[job.group.session].jobs.get(job.number) is not job:
                yield f"attempt {token} on {node.name} is of job {job.number}, which is over"
            if token in seen:
                yield f"attempt {token} is on two nodes"
            seen.add(token)
        if node.held_bytes != sum(job.size for job in node.attempts.values()):
            yield f"node {node.name} counts {node.held_bytes} bytes of arguments"
        if sum(node.held.values()) != len(node.attempts):
            yield f"node {node.name} counts {sum(node.held.values())} held of {len(node.attempts)}"
        yield from _taken(node)


def _taken(node: Node) -> Iterator[str]:
    """What is counted as taken is what the attempts take; and nothing was handed out twice."""
    needs = [job.group.shape.need for job in node.attempts.values()]
    if node.cpus != sum(need.cpus for need in needs):
        yield f"node {node.name} counts {node.cpus} thousandths of a slot as taken"
    taken: dict[str, int] = {}
    for name, amount in (pair for need in needs for pair in need.amounts):
        taken[name] = taken.get(name, 0) + amount
    if taken != {name: amount for name, amount in node.taken.items() if amount}:
        yield f"node {node.name} counts {node.taken} as taken, and it is {taken}"
    if node.unlike != sum(not need.plain for need in needs):
        yield f"node {node.name} counts {node.unlike} attempts that take more than a slot"


def _told(state: State) -> Iterator[str]:
    """Nodes work as the last words about them say."""
    for node in state.nodes.values():
        policy = replace(state.hosts.policy_of(node), slots=None)
        if node.policy != policy or (node.standing in HERE and node.told != policy):
            yield f"node {node.name} was told {node.told}, and is to work by {policy}"


def _field(state: State) -> Iterator[str]:
    """Bits are those of the nodes, and no shape overlooks a node that may run its jobs."""
    field = state.field
    if field.all != sum(node.bit for node in state.nodes.values()):
        yield "the field has other nodes than the table"
    for name, total in field.floating.totals.items():
        taken = sum(node.taken.get(name, 0) for node in state.nodes.values())
        if field.floating.taken[name] != taken:
            yield f"{field.floating.taken[name]} of {total} {name} are counted as lent, and it is {taken}"
    priorities = [job.group.options.priority for node in state.nodes.values() for job in node.attempts.values()]
    for priority, out in field.out.items():
        if out != priorities.count(priority):
            yield f"{out} attempts of priority {priority} are counted, not {priorities.count(priority)}"
    kept = [node.name for node in field.kept.values()]
    if len(set(kept)) < len(kept):
        yield f"a node is kept for two: {kept}"
    for session in state.sessions.values():
        for stake in session.stakes.values():
            out = sum(n for node in state.nodes.values() for held, n in node.held.items() if held.stake is stake)
            if stake.out != out:
                yield f"session {session.name} counts {stake.out} attempts of priority {stake.priority}, not {out}"
    for shape in state.queue.shapes():
        doubted = field.doubted(shape.seen)
        for node in field.each(field.all & ~doubted & ~shape.fit):
            if refusal(node, shape.stake.session, shape.sample) is None:
                yield f"a shape of {shape.computation} overlooks node {node.name}"


def _jobs(state: State) -> Iterator[str]:
    for session in state.sessions.values():
        groups: dict[Group, int] = {}
        for job in session.jobs.values():
            yield from _job(state, job)
            groups[job.group] = groups.get(job.group, 0) + 1
        for group, count in groups.items():
            if group.live != count:
                yield f"a group of {group.computation} counts {group.live} jobs of {count}"


def _job(state: State, job: Job) -> Iterator[str]:
    number, live = job.number, job.live()
    if job.state >= JobState.FINISHED:
        yield f"job {number} has ended ({job.state.name}) and is still in the table"
    for name, token in live:
        node = state.nodes.get(name)
        if node is None or node.attempts.get(token) is not job:
            yield f"job {number} believes it is on {name}"
    if job.state is JobState.RUNNING and not job.node:
        yield f"job {number} is RUNNING nowhere"
    if job.twin is not None:
        yield from _twin(job)
    extra = job.extra
    past = len(extra.history) if extra is not None else 0
    if job.attempts != past + len(live):
        yield f"job {number} counts {job.attempts} attempts: {past} are over, {len(live)} are out"
    if extra is not None:
        yield from _past(job)


def _twin(job: Job) -> Iterator[str]:
    options, twin = job.group.options, job.twin
    if options.reentrant is not True or options.node:
        yield f"job {job.number} has two attempts, and may not"
    if twin is not None and (not job.node or twin.node == job.node or twin.token <= job.token):
        yield f"job {job.number} on {job.node or 'no node'} has a twin on {twin.node}"


def _past(job: Job) -> Iterator[str]:
    extra, options = job.more(), job.group.options
    if extra.retried > options.retries:
        yield f"job {job.number} was retried {extra.retried} times of {options.retries}"
    if extra.retried != sum(attempt.how in OWN_ENDS for attempt in extra.history):
        yield f"job {job.number} was retried {extra.retried} times, its history says otherwise"
    if job.deaths >= limits.DEATHS_MAX:
        yield f"job {job.number} has killed {job.deaths} workers and goes on"
    if extra.due_ns and (job.node or job.state is not JobState.QUEUED):
        yield f"job {job.number} waits to be tried again, and is {job.state.name} on {job.node or 'no node'}"


def _queue(state: State) -> Iterator[str]:
    waiting = [job for session in state.sessions.values() for job in session.jobs.values() if not job.node]
    delayed = {id(job) for job in state.delays}
    lines = {id(job) for _, line in state.queue.lines() for job in line if job.state < JobState.FINISHED}
    yield from (f"job {job.number} waits in no line" for job in waiting if id(job) not in lines | delayed)
    if lines & delayed or len(lines) + len(delayed) != len(waiting):
        yield f"{len(lines)} jobs stand in line, {len(delayed)} outside, {len(waiting)} wait"
    if state.queue.size + state.delays.size != len(waiting):
        yield f"the queue counts {state.queue.size}, and {state.delays.size} outside; {len(waiting)} wait"
    for shape in state.queue.shapes():
        if all(job.state >= JobState.FINISHED for _, _, group in shape.heap for job in group.line):
            yield f"a shape of {shape.computation} waits without jobs"
    for group, line in state.queue.lines():
        ordinals = [job.ordinal for job in line]
        if ordinals != sorted(ordinals) or any(job.group is not group for job in line):
            yield f"a line of {group.computation} is out of order"


def _running(state: State) -> Iterator[str]:
    """Attempts that are known to have started are looked at."""
    for node in state.nodes.values():
        for token, job in node.attempts.items():
            granted = job.group.options.reentrant is False  # RUNNING from the grant on, started or not
            if runs(job, token) and token not in state.running and not granted:
                yield f"attempt {token} of job {job.number} runs, and nobody looks at it"


def _counts(state: State) -> Iterator[str]:
    sessions: list[Session] = list(state.sessions.values())
    if any(session.twins_won > session.twins_started for session in sessions):
        yield "more twins have won than were started"
    if state.retried < sum(session.retried for session in sessions):
        yield "sessions count more retries than there were"
    if state.delays.size and not state.restoring and not state.now_ns < state.wake_ns <= state.delays.next_ns():
        yield f"jobs are to be tried again at {state.delays.next_ns()}, and we sleep until {state.wake_ns}"
