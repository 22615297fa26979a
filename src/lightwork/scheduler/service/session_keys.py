"""What nodes call the sessions of a durable scheduler: each opening of a name has a key of its own.

A program that closes its session and runs again has one of the same name, and numbers its jobs from 0 again; nodes may
still have attempts, files and ends of the earlier one: those that were away when it ended, or are clearing it away. By
their keys (model.session_key) they never mix the two. What only a node knows keeps its key here, too: no session is
called that.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lightwork.scheduler.core import commands as do
from lightwork.wire import messages as say

_SAID = (do.Prepare, do.Assign, do.Release, do.PlaceFile)
_HEARD = (say.Prepared, say.Released, say.NodeNotice)


class SessionKeys:
    """Of the sessions that are there."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def open(self, name: str, key: str) -> None:
        """A session is opened, or was restored."""
        self._keys[name] = key
        self._names[key] = name

    def over(self, name: str) -> None:
        """It is over: whoever speaks of it from now on does not mean the next one of its name."""
        self._names.pop(self._keys.pop(name, name), None)

    def translate(self, command: Any) -> None:
        """A command to a node, which may have to wait for the disk, is to speak of sessions as the node does."""
        if isinstance(command, _SAID):
            command.session = self._keys.get(command.session, command.session)

    def heard(self, message: Any) -> Any:
        """A message of a node, as we understand it."""
        if not self._names:
            return message
        if isinstance(message, _HEARD):
            return replace(message, session=self._name(message.session))
        if isinstance(message, say.Truth):
            sessions, clearing = (list(map(self._name, keys)) for keys in (message.sessions, message.clearing))
            return replace(message, sessions=sessions, clearing=clearing)
        if isinstance(message, say.Heartbeat) and message.epochs:
            return replace(message, epochs={self._name(key): epoch for key, epoch in message.epochs.items()})
        return message

    def _name(self, key: str) -> str:
        return self._names.get(key, key)
