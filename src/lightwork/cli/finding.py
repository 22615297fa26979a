"""Schedulers of this user on this machine: those that say where they are, and those of programs with a JobCluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lightwork.cli.watching import Found
from lightwork.config import paths, places
from lightwork.kit.process import start_of

_PRIVATE = re.compile(r"(\d+)-[0-9a-f]{8}")  # client.launch.new_session


def here() -> list[Found]:
    """All that live, each once, those with a name first."""
    found = {place.address: Found(place.address, place.name) for place in _told()}
    for one in _private(paths.runtime_directory()):
        found.setdefault(one.address, one)
    return list(found.values())


def _told() -> list[places.Place]:
    """Those that wrote it down; of lasting clusters in their own directory too."""
    clusters = paths.state_directory() / "clusters"
    own = [places.read(path) for path in sorted(clusters.glob("*/place.json"))] if clusters.is_dir() else []
    return [*places.find(), *(place for place in own if place is not None and place.lives)]


def _private(runtime: Path) -> Iterator[Found]:
    """Of programs that run now: each has a directory, named after its process."""
    for directory in sorted(runtime.iterdir()):
        match = _PRIVATE.fullmatch(directory.name)
        if match is None or not start_of(int(match[1])):
            continue
        for kind, name in (("unix", "scheduler.sock"), ("loopback", "scheduler.token")):
            if (directory / name).exists():
                yield Found(f"{kind}:{directory / name}")
