"""The relay's core, told as stories."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightwork.relay.core import commands as do, events as on
from lightwork.relay.core.core import Core
from tests.support.transcripts import play

STORIES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
QUOTA = 100


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    core = Core(QUOTA)

    def feed(events: list[on.Event], now_ns: int) -> list[do.Command]:
        return [command for event in events for command in core.handle(event)]

    play(path, on, feed, list)


def test_every_event_and_command_has_its_story() -> None:
    text = "\n".join(path.read_text() for path in STORIES)
    events = {kind.__name__ for kind in on.Event.__subclasses__()}
    commands = {kind.__name__ for kind in do.Command.__subclasses__()}
    assert {name for name in events if f"> {name}" not in text} == set()
    assert {name for name in commands if f"< {name}" not in text} == set()
