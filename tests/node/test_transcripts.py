"""The agent's core, told as stories."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightwork.node.core import commands as do, events as on
from tests.node.playbook import Playbook

STORIES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_transcript(path):
    Playbook().play(path)


def test_every_event_and_command_has_its_story():
    text = "\n".join(path.read_text() for path in STORIES)
    events = {kind.__name__ for kind in on.Event.__subclasses__()}
    commands = {kind.__name__ for kind in do.Command.__subclasses__()}
    assert {name for name in events if f"> {name}" not in text} == set()
    assert {name for name in commands if f"< {name}" not in text} == set()
