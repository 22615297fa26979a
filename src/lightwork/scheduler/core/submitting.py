"""Jobs on their way to the disk: which of a batch are taken, and the fact that says so."""

from __future__ import annotations

from msgspec.structs import replace

from lightwork.config import limits
from lightwork.scheduler.core import commands as do, events as on, facts as fact
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import Commands, State
from lightwork.wire.outcome import ARENA_REFERENCE

FULL = "the scheduler's disk is full: it takes no more jobs; those that it has go on"
FULL_HINT = "make room where its state directory is; then submit again"


def refuse(state: State, session: Session, event: on.JobsSubmitted, known: int) -> Commands | None:
    """What is done in place of taking the batch: all came before, or there is no room. None: it is taken."""
    new = list(range(event.first + known, event.first + len(event.payloads)))
    if not new:
        return [do.Accept(session.name, session.next_number, state.recorded)]
    if not state.full and not event.problem:
        return None
    session.next_number = new[-1] + 1
    state.record(fact.Skipped(session.name, session.next_number, new[0]))
    if state.full:
        return [do.RefuseJobs(session.name, new, FULL, FULL_HINT)]
    return [do.RefuseJobs(session.name, new, f"what the jobs need could not be stored: {event.problem}")]


def refused_before(ledger: Ledger, session: Session) -> list[do.RefuseJobs]:
    """What may not have been heard: jobs of this life of the client that were not taken."""
    jobs = [number for first, upto in ledger.sessions[session.name].refused for number in range(first, upto)]
    step = limits.COMMAND_JOBS_MAX
    return [
        do.RefuseJobs(session.name, jobs[at : at + step], "the scheduler had no room to write the job down", FULL_HINT)
        for at in range(0, len(jobs), step)
    ]


def write_down(state: State, session: Session, event: on.JobsSubmitted, known: int, jobs: list[Job]) -> Commands:
    """These jobs survive us once this is on disk."""
    stored = [(index - known, file) for index, file in event.stored if index >= known]
    for index, file in stored:
        jobs[index].payload, jobs[index].in_arena = ARENA_REFERENCE.pack(0, file.size), True
    payloads = [b"" if job.in_arena else job.payload for job in jobs]
    submitted = fact.Submitted(
        session.name,
        event.computation,
        event.options,
        [job.number for job in jobs],
        payloads,
        event.keys[known:],
        event.ids[known:],
        event.prints[known:],
        [(index, replace(file, path="")) for index, file in stored],
        session.steps.epoch,
        [] if state.ledger is not None and jobs[0].ordinal == state.ledger.ordinal else [jobs[0].ordinal],
    )
    state.record(submitted)
    for job in jobs:
        job.fact = state.recorded
    return [do.Accept(session.name, session.next_number, state.recorded)]
