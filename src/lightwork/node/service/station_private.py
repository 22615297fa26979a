"""The node of a private durable scheduler on this machine: it joins that one's socket, and outlives it.

joined --goodbye: the cluster is closed--------------> ends; its directory goes
   |---scheduler gone, lease over: orphans run on----> none is left: ends; what is kept is told by the next one here
never joined --------------------------------------> ends after as long a time
"""

from __future__ import annotations

import asyncio

from msgspec import Struct

from lightwork.config import paths
from lightwork.node.service.directories import remove_tree
from lightwork.node.service.station_agents import StationOptions
from lightwork.node.service.station_program import Program, ProgramOptions

LASTING = "dest"  # the same for all private nodes of this user, as for those hosted by a scheduler's process


class PrivateOptions(Struct, kw_only=True):
    """What such a node is told. `directory`: the name of its own, the same in all its lives; `join`: an address on this
    machine (unix:/path or loopback:/path), for which no credential is needed."""

    name: str
    directory: str
    join: str
    slots: int
    portable: bool = False


async def run_private(options: PrivateOptions) -> int:
    """To the end; the exit status. StartFailed: such a node lives already; LightworkError: it could not begin."""
    station = StationOptions(slots=options.slots, portable=options.portable, private=True, lasting=LASTING)
    program = Program(
        ProgramOptions(
            name=options.name,
            directory=options.directory,
            join=options.join,
            private=True,
            station=station,
        ),
        _Silent(),
    )
    status = await program.run()
    if program.left:
        directory = paths.node_directory(options.directory)
        await asyncio.get_running_loop().run_in_executor(None, remove_tree, directory)
    return status


class _Silent:
    """Nobody reads what it says but in its log."""

    def at_home(self, name: str) -> None:
        """It has its directory."""

    def announce(self, line: str) -> None:
        """Whom it joined."""

    def hint(self, text: str) -> None:
        """What else its owner should know."""

    def up(self, trouble: str = "") -> None:
        """It tries to join."""
