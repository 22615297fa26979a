"""The scheduler's core tells the stories of transcripts/ as they are written there, and all invariants hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightwork.scheduler.core import events
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from tests.support.transcripts import play

STORIES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_story(story: Path) -> None:
    core = Core()
    play(story, events, core.feed, lambda: check(core.state))
