"""A node in a process of its own, for tests that kill it: `python node_program.py DIRECTORY ADDRESS SLOTS`.

It listens there, says so in a line, and works until it is ended. A line on its standard input is its process to stop.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lightwork.kit.owner_log import OwnerLog
from lightwork.node.service.station import Station
from lightwork.node.service.station_agents import StationOptions
from lightwork.node.service.station_listen import open_door
from tests.node.station_double import home_in


async def main(directory: Path, address: str, slots: int) -> None:
    station = Station(StationOptions(slots=slots, private=True), home_in(directory), OwnerLog())
    await station.start()
    if os.path.exists(address.partition(":")[2]):
        os.unlink(address.partition(":")[2])  # of one that was killed
    await open_door(station, address, None, free=True)
    print("up", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
