"""An agent under a durable scheduler: what it takes over, what it tells one that adopts it, what it does without one.

start    rings that earlier agents left, of whichever scheduler --> kept ends (harvest.py)
claimed  keep_for: from now on ends are kept before anything else is done about them (custody.py)
adopted  Truth, then every end that is due
orphaned let_go: what has not started goes back to a scheduler that is not there; the rest runs on
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightwork.config import limits
from lightwork.kit.clock import monotonic_ns
from lightwork.node.core import events as on
from lightwork.node.service.custody import Custody
from lightwork.node.service.directories import KEPT, Directories, remove_tree
from lightwork.node.service.harvest import Harvest
from lightwork.node.service.job_user import JobUser
from lightwork.wire.messages import Leaving

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent, Tell

UNKNOWN = "of some results nobody knows whose they are"

log = logging.getLogger(__name__)


def open_custody(
    directories: Directories, scheduler: str, on_trouble: Callable[[str], None]
) -> tuple[Custody, list[str]]:
    """All that is kept for this scheduler, and what is wrong with it. OSError: it cannot be had."""
    custody = Custody(directories.enter(scheduler), monotonic_ns, on_trouble)
    damage = custody.load()
    harvest = Harvest(directories, custody, time.monotonic_ns())
    harvest.gather()
    problems = [damage] if damage else []
    if not custody.restarted():
        problems.append(UNKNOWN)
    harvest.clear_spool()
    return custody, problems


def harvest_all(root: Path, lasting: Path | None, user: JobUser | None = None) -> list[str]:
    """At the start: what earlier agents left becomes kept ends; what was wrong. (On a thread.)"""
    problems: list[str] = []
    try:
        homes = sorted((root / KEPT).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    except FileNotFoundError:
        return problems
    for home in homes[: -limits.KEPT_SCHEDULERS]:
        if any(home.glob("workers/*")) or any(home.glob("*.kept")):
            problems.append(f"what was kept for the scheduler {home.name} is given up: it has not come back")
        remove_tree(home)
    for home in homes[-limits.KEPT_SCHEDULERS :]:
        if any(home.glob("workers/*")):  # else there is nothing to be gathered
            problems += _gather(Directories(root, lasting, user), home)
        elif not any(home.glob("*.kept")):
            remove_tree(home)
    return problems


def _gather(directories: Directories, home: Path) -> list[str]:
    try:
        custody, problems = open_custody(directories, home.name, log.warning)
    except OSError as error:
        return [f"what is kept in {home} cannot be read: {error}"]
    custody.close()
    if custody.empty and not any(directories.stale_rings()):
        remove_tree(home)
    return problems


def leave_custody(agent: Agent, custody: Custody) -> None:
    """The agent ends: what is kept stays, unless it is nothing."""
    custody.close()
    home = agent.directories.kept
    if home is not None and custody.empty and not any(agent.directories.stale_rings()):
        remove_tree(home)


def keep_for(agent: Agent, scheduler: str) -> list[str]:
    """This durable scheduler has us. What was wrong with what was kept for it. OSError: it cannot be kept."""
    hands = agent.hands
    custody, problems = open_custody(agent.directories, scheduler, hands.crew.trouble)
    hands.spool.move(agent.directories.spool)
    hands.jobs.noted = True
    hands.crew.bonds = custody.bonds
    agent.custody = custody
    return problems


def tell_truth(agent: Agent, custody: Custody, tell: Tell) -> None:
    """All attempts, and how far they are. Ends that are due follow."""
    agent.hands.poll_busy()  # what has ended by now is told as such
    core = agent.core
    custody.only(core.tokens())
    clearing = sorted(core.preparation.clearing)
    tell(custody.keeping.truth(_started(agent), core.computations.sessions(), clearing), b"")
    if core.leaving:
        tell(Leaving(core.reason), b"")


def let_go(agent: Agent) -> None:
    """Nobody is there who could be told anything; nothing more is started."""
    agent.link, agent.tell = None, nobody
    started = _started(agent)
    waiting = [token for token in agent.core.tokens() if token not in started]
    if waiting:
        agent.post(on.ReturnAsked(waiting))


def running(agent: Agent) -> int:
    """How many attempts have started and not ended."""
    return len(_started(agent))


def in_hand(agent: Agent) -> int:
    """How much keeps the claim up: attempts, and ends for which the disk has no room yet."""
    return len(agent.core.tokens()) + (len(agent.custody.unwritten) if agent.custody is not None else 0)


def nobody(message: object, body: object) -> None:
    """There is no scheduler: nothing that is said now is of any use to one that comes later."""


def _started(agent: Agent) -> dict[int, int]:
    """Attempts that have started, each so many ns ago: also those whose end is on its way."""
    now = time.monotonic_ns()
    found = agent.core.files.ages(now)
    for worker in agent.core.workers.busy_ones():
        link = agent.hands.crew.links.get(worker.number)
        if link is not None and not link.dead:
            found.update(link.begun(now))
    here = set(agent.core.tokens())
    return {token: age for token, age in found.items() if token in here}
