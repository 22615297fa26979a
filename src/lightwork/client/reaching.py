"""How a client reaches a durable scheduler: again and again, saying whom it waits for."""

from __future__ import annotations

import os
import platform
import time
from typing import Protocol

from lightwork.client.waiting import say
from lightwork.config import paths
from lightwork.config.timers import BUSY_S, HELLO_S, RELINK_MAX_S, RELINK_S, SAY_WAITING_S, STRANGER_S
from lightwork.kit.text import span
from lightwork.kit.version import __version__
from lightwork.model.errors import (
    LightworkError,
    LinkBroken,
    NodeBusy,
    SaysNothing,
    Unreachable,
    UserError,
    WrongCredential,
)
from lightwork.transport.blocking import BlockingLink
from lightwork.wire.frames import Frame
from lightwork.wire.messages import PROTOCOL, Goodbye, Hello, Opened

_now = time.monotonic


class Way(Protocol):
    """Leads to one scheduler. `where`: it is called so in sentences ("the scheduler at lab1:9700")."""

    where: str

    def dial(self, hello: Hello) -> BlockingLink:
        """A link that is up. Unreachable, NodeBusy: perhaps later. Other errors say why not."""


def hello_of(session: str, name: str, *, lasting: bool, incarnation: int = 0) -> Hello:
    """How a client greets a scheduler that may be another machine's."""
    return Hello(
        PROTOCOL,
        "client",
        name[:255],
        session=session,
        software=f"lightwork {__version__}",
        pid=os.getpid(),
        host=platform.node(),
        user=paths.user_name(),
        incarnation=incarnation,
        lasting=lasting,
    )


def first_words(link: BlockingLink) -> list[Frame]:
    """What a durable scheduler says first. Raises what it refuses us for; a link that is of no use is closed."""
    end = _now() + HELLO_S
    frames: list[Frame] = []
    try:
        while _now() < end:
            frames += link.receive(max(0.0, end - _now()))
            for message, _ in frames:
                if isinstance(message, Opened):
                    return frames
                if isinstance(message, Goodbye):
                    raise LinkBroken(f"it hung up: {message.reason or 'without a word'}")
        raise LinkBroken(f"it did not open the session within {span(HELLO_S)}")
    except BaseException:
        link.abort()
        raise


def open_patiently(way: Way, hello: Hello, timeout: float | None = None) -> tuple[BlockingLink, list[Frame]]:
    """The first link, and the first words over it; whatever may get better is waited for, and that is said.

    UserError: wrong credential. Unreachable, NodeBusy: not within `timeout` seconds. Who does not say who it is may be
    a scheduler that is stopped, or dies while we dial: SaysNothing is raised only if it stays like that.
    """
    began = told_at = _now()
    pause = RELINK_S
    silent_since: float | None = None
    while True:
        try:
            link = way.dial(hello)
            return link, first_words(link)
        except WrongCredential as error:
            raise UserError(f"{way.where}: {error.args[0]}", hint=error.hint) from error
        except (Unreachable, LinkBroken, NodeBusy, SaysNothing) as error:
            now = _now()
            silent_since = (silent_since or now) if isinstance(error, SaysNothing) else None
            if silent_since is not None and now - silent_since >= STRANGER_S:
                raise
            if timeout is not None and now - began >= timeout:
                raise
            if now - told_at >= SAY_WAITING_S:
                told_at = now
                say(waiting_for(way, error, now - began))
            time.sleep(BUSY_S if isinstance(error, NodeBusy) else pause)
            pause = min(2 * pause, RELINK_MAX_S)


def waiting_for(way: Way, error: LightworkError, waited_s: float) -> str:
    """What is waited for, since when, and why."""
    since = "waited for" if isinstance(error, NodeBusy) else "unreachable for"
    return f"waiting for {way.where}, {since} {span(waited_s)}: {reason_of(error)}"


def reason_of(error: BaseException) -> str:
    """Why, in one line."""
    text = str(error.args[0]) if error.args else type(error).__name__
    hint = error.hint if isinstance(error, LightworkError) else ""
    return f"{text} ({hint})" if hint else text
