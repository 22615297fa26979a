"""A durable core tells the stories of durable/, and whatever it has on disk makes the state that lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightwork.scheduler.core import events
from tests.scheduler.durable_core import DurableCore
from tests.support.transcripts import play

STORIES = sorted((Path(__file__).parent / "durable").glob("*.txt"))


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_story(story: Path) -> None:
    durable = DurableCore()
    play(story, events, durable.feed, durable.wrong, durable.crash)
