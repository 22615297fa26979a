"""The file of hosts that a scheduler follows, and what becomes of it when a word is refused, or the file is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import UserError
from lightwork.scheduler.service.program_hosts import WatchedHosts
from lightwork.wire.messages import Answer, ChangeHosts


class Scheduler:
    """Takes what is said, unless there is too much of it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, list[str]]] = []

    def change(self, message: ChangeHosts) -> Answer:
        if len(message.hosts) > 2:
            return Answer(0, "too many")
        self.said.append((message.action, message.hosts))
        return Answer(0)


def test_hosts_that_were_refused_are_said_again_after_an_edit(tmp_path: Path) -> None:
    scheduler, file = Scheduler(), tmp_path / "lab"
    watched = WatchedHosts(file, tmp_path, scheduler.change, OwnerLog())
    file.write_text("a\n")
    watched.first()
    file.write_text("a\nb\nc\nd\n")
    watched.first()
    file.write_text("a\nb\nc\n")
    watched.first()
    assert scheduler.said == [("add", ["a"]), ("add", ["b", "c"])]
    again = WatchedHosts(file, tmp_path, scheduler.change, OwnerLog())  # its next life knows them
    file.write_text("b\n")
    again.first()
    assert scheduler.said[2:] == [("remove", ["a", "c"])]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lab")
    with pytest.raises(UserError, match="it is no plain file"):
        WatchedHosts(tmp_path / "lab", tmp_path, Scheduler().change, OwnerLog()).first()
