"""An agent in a process of its own, with a job that does not end under each of three versions; prints its pids."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.node.scheduler_double import arguments, node
from tests.node.versions import OWN, offering, others, shipped


async def main(directory: Path, versions: list[tuple[int, int]]) -> None:
    async with node(directory, slots=3, interpreters=offering(*versions), sole=True) as (scheduler, agent):
        tokens = []
        for version in versions:
            computation = shipped(scheduler, "nap", version)
            scheduler.prepare(computation)
            tokens += scheduler.assign(computation, [arguments(60)])
        await scheduler.until(lambda: set(tokens) <= set(scheduler.started))
        helpers = [pid for name, pid in agent.pids.items() if name != "agent"]
        workers = [link.pid for link in agent.hands.crew.links.values() if link.pid]
        print(json.dumps(helpers + workers), flush=True)
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), [OWN, *others()]))
