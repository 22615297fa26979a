"""An agent in a process of its own, for tests that kill it: `python agent_program.py DIRECTORY SECONDS`.

It runs two jobs that end at once and one that does not, and prints the pids that it has.
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


async def main(directory: Path) -> None:
    agent = Agent(AgentOptions("n", 2, directory, sole=True))
    await agent.start()
    double = SchedulerDouble()
    memory_pair((agent, Hello(PROTOCOL, "node", "n")), (double, Hello(PROTOCOL, "scheduler", "s")))
    await double.until(lambda: double.ready)
    computation = function(nap)
    double.prepare(computation)
    await double.run(computation, (0,))
    agent.hands.poll_busy = lambda: None  # type: ignore[method-assign]  # from now on nothing is drained: as if the kill came in between
    for link in agent.hands.crew.links.values():
        link.poll = lambda: False  # type: ignore[method-assign]
    tokens = double.assign(computation, [arguments(0), arguments(60)])
    await asyncio.sleep(0.3)
    pids = [*agent.pids.values(), *(link.pid for link in agent.hands.crew.links.values() if link.pid)]
    print(json.dumps({"pids": pids, "tokens": tokens}), flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
