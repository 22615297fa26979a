"""What always holds, whatever happened: called after every event in tests."""

from __future__ import annotations

from lightwork.model.states import JobState
from lightwork.scheduler.core.state import State


def check(state: State) -> list[str]:
    """Sentences about what is wrong; empty if all is well."""
    return [*_attempts(state), *_jobs(state), *_queue(state)]


def _attempts(state: State) -> list[str]:
    wrong = []
    seen: set[int] = set()
    for node in state.nodes.values():
        for token, job in node.attempts.items():
            if job.token != token or job.node != node.name:
                wrong.append(f"attempt {token} on {node.name} is of job {job.number}, which says {job.token}")
            if token in seen:
                wrong.append(f"attempt {token} is on two nodes")
            seen.add(token)
        if node.held_bytes != sum(job.size for job in node.attempts.values()):
            wrong.append(f"node {node.name} counts {node.held_bytes} bytes of arguments")
        if sum(node.held.values()) != len(node.attempts):
            wrong.append(f"node {node.name} counts {sum(node.held.values())} held of {len(node.attempts)}")
    return wrong


def _jobs(state: State) -> list[str]:
    wrong = []
    for session in state.sessions.values():
        for number, job in session.jobs.items():
            if job.state >= JobState.FINISHED:
                wrong.append(f"job {number} has ended ({job.state.name}) and is still in the table")
            if job.node and state.nodes[job.node].attempts.get(job.token) is not job:
                wrong.append(f"job {number} believes it is on {job.node}")
            if job.state is JobState.RUNNING and not job.node:
                wrong.append(f"job {number} is RUNNING nowhere")
    return wrong


def _queue(state: State) -> list[str]:
    waiting = [job for session in state.sessions.values() for job in session.jobs.values() if not job.node]
    lines = {id(job) for _, line in state.queue.lines() for job in line if job.state < JobState.FINISHED}
    wrong = [f"job {job.number} waits in no line" for job in waiting if id(job) not in lines]
    if len(lines) != len(waiting):
        wrong.append(f"{len(lines)} jobs stand in line, {len(waiting)} wait")
    if state.queue.size != len(waiting):
        wrong.append(f"the queue counts {state.queue.size}, {len(waiting)} wait")
    return wrong
