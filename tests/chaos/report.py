"""What a failed performance tells: its seed, what was done, and the story of each job that complains."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos import oracle
from tests.chaos.company import CLIENTS, Company
from tests.chaos.conductor import Conductor
from tests.chaos.judge import Complaint
from tests.chaos.oracle import SECOND

STORIES = 8  # in full
LINES = 60  # of the programs


def report(
    seed: int, company: Company, conductor: Conductor, troubles: Sequence[str], complaints: Sequence[Complaint]
) -> str:
    """For a person."""
    parts = [f"\n=== LIGHTWORK_TEST_SEED={seed}: {len(complaints)} complaints, {len(troubles)} other troubles"]
    parts += troubles
    parts += [f"{complaint.key}: {complaint.text}" for complaint in complaints[:50]]
    for key in list(dict.fromkeys(complaint.key for complaint in complaints))[:STORIES]:
        parts.append(story(key, company, conductor))
    parts += ["=== what was done", conductor.log()]
    parts += ["=== what programs said", *_said(company)]
    return "\n".join(parts)


def story(key: str, company: Company, conductor: Conductor) -> str:
    """All that is known of a job."""
    zero = int(conductor.begun_s * SECOND)

    def when(at: int) -> str:
        return f"{(at - zero) / SECOND:7.2f} s" if at else "never"

    lines = [f"=== job {key}"]
    for run in oracle.runs(company.oracle).get(key, []):
        how = f"raised {when(run.raises)}" if run.raises else f"died {when(run.dies)}" if run.dies else ""
        lines.append(f"{when(run.at)}  started on {run.host} in {run.pid}; {how or 'ended ' + when(run.end)}")
    for client in CLIENTS:
        for one in oracle.deliveries(company.deliveries(client)):
            if one.key == key:
                again = ", redelivered" if one.again else ""
                text = f"{one.state}{again} after {one.attempts} attempts: {one.value} {one.error!r}"
                lines.append(f"{when(one.at)}  given to life {one.life} of {client.name}: {text}")
    return "\n".join([*lines, *company.said(key)[:20]])


def _said(company: Company) -> list[str]:
    found = []
    for (kind, name), lives in company.programs.items():
        for life, program in enumerate(lives, 1):
            lines = [line for line in program.err.splitlines() if line.strip()]
            found.append(f"--- {kind} {name}, life {life}, exit {program.popen.poll()}")
            found += lines if len(lines) <= LINES else [*lines[: LINES // 2], "...", *lines[-LINES // 2 :]]
    return found
