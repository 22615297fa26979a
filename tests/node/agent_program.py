"""An agent in a process of its own, for tests that kill it: `python agent_program.py DIRECTORY [KIND [away]]`.

It runs two jobs that end at once and one that does not, and prints the pids that it has. "away": two jobs that do not
end, one of which has started a process that is in nobody's session.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from lightwork.node.service.agent import Agent, AgentOptions
from lightwork.transport.memory import memory_pair
from lightwork.wire.messages import PROTOCOL, Hello
from tests.node.scheduler_double import SchedulerDouble, arguments, function
from tests.node.test_deaths import nap


def start_one(place: str) -> None:
    import os
    import subprocess
    import time

    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(place + ".new", "w") as file:
        file.write(str(child.pid))
    os.rename(place + ".new", place)
    time.sleep(600)


async def main(directory: Path, kind: str = "keeper", what: str = "") -> None:
    agent = Agent(AgentOptions("n", 2, directory, portable=kind == "portable", sole=True))
    await agent.start()
    double = SchedulerDouble()
    memory_pair((agent, Hello(PROTOCOL, "node", "n")), (double, Hello(PROTOCOL, "scheduler", "s")))
    await double.until(lambda: double.ready)
    await (away if what == "away" else left_in_rings)(agent, double, directory)


async def away(agent: Agent, double: SchedulerDouble, directory: Path) -> None:
    place = directory.with_name("away")
    computation = function(start_one)
    double.prepare(computation)
    tokens = double.assign(computation, [arguments(str(place))])
    await double.until(place.exists)
    [worker] = agent.core.workers.busy_ones()
    pids = {"pids": pids_of(agent), "worker": worker.pid, "away": int(place.read_text())}
    print(json.dumps({**pids, "tokens": tokens}), flush=True)
    await asyncio.sleep(60)


def pids_of(agent: Agent) -> list[int]:
    return [*agent.pids.values(), *(link.pid for link in agent.hands.crew.links.values() if link.pid)]


async def left_in_rings(agent: Agent, double: SchedulerDouble, directory: Path) -> None:
    computation = function(nap)
    double.prepare(computation)
    await double.run(computation, (0,))
    agent.hands.poll_busy = lambda: None  # type: ignore[method-assign]  # from now on nothing is drained: as if the kill came in between
    for link in agent.hands.crew.links.values():
        link.poll = lambda: False  # type: ignore[method-assign]
    tokens = double.assign(computation, [arguments(0), arguments(60)])
    await asyncio.sleep(0.3)
    print(json.dumps({"pids": pids_of(agent), "tokens": tokens}), flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
