"""Every pair of a job's state and what may happen to it is reached by schedules."""

from __future__ import annotations

import pytest

from tests.simulation.runner import run

pytestmark = pytest.mark.soak  # these look at the simulated world itself, which still grows

SEEDS = range(300)

# Rows: what happens. Columns: the stages of coverage.py in which a job can be when it does.
#   w waiting   d delayed (waits to be tried again)   h handed out   r running   t two attempts
STAGES = {"w": "waiting", "d": "delayed", "h": "handed out", "r": "running", "t": "two attempts"}
TABLE = {
    "JobsSubmitted": "whr",  # repeated over another link
    "JobsCancelled": "wdhrt",
    "ClientJoined": "wdhrt",
    "ClientAway": "wdhrt",
    "ClientLost": "wr",
    "StorageFull": "wdhrt",
    "TimePassed": "wdhrt",
    "NodeJoined": "hrt",
    "NodeBeat": "hrt",
    "NodeLost broken": "hrt",
    "NodeTruth": "wdhrt",
    "AttemptsStarted": "hrt",
    "AttemptsEnded": "hrt",
    "AttemptsReturned": "hr",
    "AttemptsDied blamed": "hrt",
    "AttemptsDied without blame": "hrt",
}


def table() -> set[str]:
    return {f"{STAGES[letter]}: {event}" for event, stages in TABLE.items() for letter in stages}


@pytest.mark.slow
def test_the_job_table_is_reached():
    seen: set[str] = set()
    for seed in SEEDS:
        seen |= run(seed, covering=True).pairs
        if table() <= seen:
            return
    assert not table() - seen
