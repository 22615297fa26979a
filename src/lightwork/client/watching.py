"""Looking into a scheduler from outside: questions and their answers, one after another, over a link of its own."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from lightwork.client.waiting import say
from lightwork.config import limits, paths, ports
from lightwork.config.timers import ANSWER_S, SAY_WAITING_S
from lightwork.kit.text import listed, span
from lightwork.kit.version import __version__
from lightwork.model.errors import (
    ClusterError,
    LightworkError,
    LinkBroken,
    PeerError,
    SchedulerGone,
    Unreachable,
    UserError,
)
from lightwork.transport.address import TCP, network_address, split, split_host_port
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import connect
from lightwork.wire.messages import (
    PROTOCOL,
    Answer,
    AskHosts,
    AskJobs,
    AskLogs,
    AskSessions,
    AskStatus,
    AskWhy,
    CancelJobs,
    ChangeHosts,
    Goodbye,
    Hello,
    Hosts,
    Jobs,
    JobStatus,
    Logs,
    Message,
    Refused,
    Sessions,
    SessionStatus,
    SetPolicy,
    Status,
    Why,
)

if TYPE_CHECKING:
    from lightwork.security.credential import Credential

A = TypeVar("A", Answer, Hosts, Jobs, Logs, Sessions, Status, Why)


def watch(address: str, credential: Credential | None = None, *, weak_secret: bool = False) -> Watcher:
    """Look into the scheduler there: HOST, HOST:PORT or unix:/path. Raises what keeps us from it, in a sentence."""
    where = network_address(address, ports.SCHEDULER)
    encryption = None
    if split(where)[0] == TCP:
        from lightwork.client.networking import check_reach
        from lightwork.transport.tls import Encryption

        host, port = split_host_port(split(where)[1])
        warning = check_reach(credential, host, port, weak_secret=weak_secret, what=f"scheduler {address!r}")
        if warning:
            say(f"warning: {warning}")
        assert credential is not None  # or `check_reach` had refused
        encryption = Encryption(credential)
    try:
        return Watcher(connect(where, _hello(), _is_scheduler, encryption=encryption), address)
    except PeerError as error:
        _say_where(error, where.removeprefix(f"{TCP}:"))
        raise
    except Unreachable as error:
        for guess in ("`lightwork node`", "the node, relay or scheduler"):  # by the port
            error.hint = error.hint.replace(guess, "`lightwork scheduler`")
        raise


def _hello() -> Hello:
    user, host = paths.user_name(), platform.node()
    software = f"lightwork {__version__}"
    return Hello(PROTOCOL, "watcher", "watcher", software=software, pid=os.getpid(), host=host, user=user)


def _is_scheduler(hello: Hello) -> Refused | None:
    if hello.role == "scheduler":
        return None
    what = f"a {hello.role} listens there, no scheduler"
    return Refused("role", what, f"schedulers listen at port {ports.SCHEDULER}, unless told otherwise")


def _say_where(error: LightworkError, where: str) -> None:
    """The words of a peer do not say where that is."""
    if error.args and where not in str(error.args[0]):
        error.args = (f"{where}: {error.args[0]}", *error.args[1:])


class Watcher:
    """A line to one scheduler; for one thread. Use it as a context manager, or `close` it."""

    def __init__(self, link: BlockingLink, address: str) -> None:
        self.address = address
        self.name = link.peer.name  # of the scheduler
        self._link = link
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._link.close()

    # --- questions ---

    def status(self) -> Status:
        """Nodes, jobs of all sessions together, and why the oldest waiting ones wait."""
        return self._ask(AskStatus, Status)

    def sessions(self) -> list[SessionStatus]:
        """All, the oldest first."""
        return self._ask(AskSessions, Sessions).sessions

    def jobs(self, session: str = "", states: Iterable[int] = (), limit: int = 1000) -> tuple[list[JobStatus], int]:
        """Jobs of one session, or all, in these states, or any; the oldest first, and how many there are in all.

        UserError: there is no such session.
        """
        wanted = list(states)
        answer = self._ask(lambda number: AskJobs(number, session, wanted, limit), Jobs)
        if answer.error:
            raise self._no_session(answer.error)
        rows, enough = answer.jobs, min(limit, answer.total)
        if rows and len(rows) < enough:
            self._further(rows, enough, wanted, one=bool(session))
        return rows, answer.total

    def _further(self, rows: list[JobStatus], enough: int, wanted: list[int], *, one: bool) -> None:
        """What one message did not hold: the rest of the last session, then those behind it."""
        names = [] if one else [found.name for found in self.sessions()]
        name, first = rows[-1].session, rows[-1].number + 1
        names = names[names.index(name) + 1 :] if name in names else []
        while len(rows) < enough:
            room = enough - len(rows)
            more = self._ask(lambda number: AskJobs(number, name, wanted, room, first), Jobs).jobs  # noqa: B023  at once
            rows += more
            if more:
                first = more[-1].number + 1
            elif names:
                name, first = names.pop(0), 0
            else:
                return

    def cancel(self, session: str, numbers: Iterable[int] = ()) -> tuple[list[int], int]:
        """Cancel these jobs; none named: all. Those that had not ended (of very many, the first), and how many.

        UserError: there is no such session.
        """
        named = list(numbers)
        found: list[int] = []
        total = 0
        for at in range(0, len(named) or 1, limits.WATCHED_NUMBERS_MAX):
            some = named[at : at + limits.WATCHED_NUMBERS_MAX]
            answer = self._ask(lambda number: CancelJobs(number, session, some), Answer)  # noqa: B023  at once
            if answer.error:
                raise self._no_session(answer.error)
            found += answer.jobs
            total += answer.total
        return found, total

    def logs(self, session: str, job: int, stdout_from: int = 0, stderr_from: int = 0) -> Logs:
        """What the job has written, from these bytes on, as much as one message holds. Its `error` is not raised."""
        return self._ask(lambda number: AskLogs(number, session, job, stdout_from, stderr_from), Logs)

    def hosts(self) -> Hosts:
        """All machines: those that are there, those that are looked for, those that were removed."""
        return self._ask(AskHosts, Hosts)

    def change_hosts(
        self,
        action: str,
        hosts: Iterable[str],
        group: str = "",
        *,
        now: bool = False,
        policy: SetPolicy | None = None,
    ) -> Answer:
        """Say something about machines, for all sessions (wire.ChangeHosts has the actions). UserError: it cannot be.

        The answer has the connected nodes that it concerns, and how many jobs still run there.
        """
        named = list(hosts)
        answer = self._ask(lambda number: ChangeHosts(number, action, named, group, now, policy=policy), Answer)
        if answer.error:
            raise UserError(f"{self.address}: {answer.error}", hint=answer.hint)
        return answer

    def why(self, session: str, job: int) -> list[str]:
        """Why this job waits, a sentence each. UserError: there is no such session."""
        answer = self._ask(lambda number: AskWhy(number, session, job), Why)
        if answer.error:
            raise self._no_session(answer.error)
        return answer.lines

    def _no_session(self, error: str) -> UserError:
        names = [found.name for found in self.sessions()]
        return UserError(f"{self.address}: {error}", hint=f"the sessions now: {listed(names, 20)}")

    # --- the line ---

    def _ask(self, made: Callable[[int], Message], kind: type[A]) -> A:
        self._number += 1
        try:
            self._link.send(made(self._number))
            return self._answer(kind)
        except LinkBroken as error:
            raise SchedulerGone(f"the scheduler at {self.address} is gone: {error.args[0]}") from None

    def _answer(self, kind: type[A]) -> A:
        began = time.monotonic()
        told = False
        while True:
            for message, _ in self._link.receive(SAY_WAITING_S):
                if isinstance(message, kind) and message.number == self._number:
                    return message
                if isinstance(message, Goodbye):
                    raise ClusterError(f"the scheduler at {self.address} hung up: {message.reason or 'without a word'}")
            waited = time.monotonic() - began
            if waited > ANSWER_S:
                raise ClusterError(f"the scheduler at {self.address} has not answered within {span(ANSWER_S)}")
            if waited >= SAY_WAITING_S and not told:
                told = True
                say(f"waiting for an answer of the scheduler at {self.address}")
