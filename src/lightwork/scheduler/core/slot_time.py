"""The account of slot time: how long the slots of all nodes worked for each session.

handed out   + what such jobs take        (nodes.Node)
runs longer  + what it took beyond that   here, several times a second
over         - all of that, + what it really took
"""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.model.states import JobState
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.needs import WHOLE
from lightwork.scheduler.core.shapes import USUAL_WEIGHT
from lightwork.scheduler.core.state import State


def took(group: Group, duration_ns: int, count: int = 1) -> None:
    """So many attempts of this group, which their node has let go, took so long altogether."""
    shape = group.shape
    stake = shape.stake
    slot_ns = duration_ns if shape.need.plain else duration_ns * shape.need.cpus // WHOLE
    stake.session.slot_ns += slot_ns
    stake.charge(slot_ns)
    level = stake.level
    if level is not None:
        level.usual_ns += USUAL_WEIGHT * (duration_ns / count - level.usual_ns)


def each_took(jobs: Iterable[Job], durations_ns: Iterable[int]) -> None:
    """The same for jobs of several groups."""
    for job, duration_ns in zip(jobs, durations_ns, strict=True):
        took(job.group, duration_ns)


def keep_up(state: State) -> None:
    """What runs counts for no less than it has run."""
    state.kept_up_ns = state.now_ns
    for token, job in state.running.items():
        stage, started_ns = job.stage(token)
        if stage is not JobState.RUNNING or all(token != one for _, one in job.live()):
            continue
        shape = job.group.shape
        elapsed_ns = state.now_ns - started_ns
        if not shape.record.mean_ns and elapsed_ns > shape.record.lasts_ns:
            shape.record.lasts_ns = elapsed_ns
        ran_ns = elapsed_ns * shape.need.cpus // WHOLE
        before_ns = job.charge(token, ran_ns)
        if before_ns < ran_ns:
            shape.stake.charge(ran_ns - before_ns)
        else:
            job.charge(token, before_ns)
