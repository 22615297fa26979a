"""Who looks in from outside: watchers. They ask; what they ask for is answered a slice at a time, between other work.

    AskStatus, AskSessions, AskJobs --> views, listing ------------------------------> Status, Sessions, Jobs
    CancelJobs --> JobsCancelled, so many at a time --> core ------------------------> Answer
    ChangeHosts --> HostsChanged --> core -------------------------------------------> Answer
    AskHosts, AskWhy ----------------------------------------------------------------> Hosts, Why
    AskLogs --> ended: the ledger                ------------------------------------> Logs
            +-> running: AskOutput --> node --> OutputNow, or nothing within NODE_S --> Logs

Questions stand in one line, whoever asks: many watchers cost no more at once than one. A watcher is trusted like a
client (it came by the same door), but not to be without faults: what it can make us keep has limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from lightwork.config import limits
from lightwork.kit.text import span
from lightwork.model.errors import ProtocolError
from lightwork.model.states import JobState
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.listing import jobs
from lightwork.scheduler.core.nodes import SECOND_NS
from lightwork.scheduler.core.views import Running, Slow, logs, not_ended, sessions, status
from lightwork.scheduler.service.claims import Claims
from lightwork.scheduler.service.hosting import Hosting, who
from lightwork.transport.link import Batch, Link
from lightwork.wire import messages as say
from lightwork.wire.messages import Message

log = logging.getLogger(__name__)

NODE_S = 5.0  # a node that is asked for output answers within this
DURABLE_S = 2.0  # so long we wait for the journal before we say what was done
UNREAD_MAX = 16 << 20  # bytes of answers that a watcher leaves unread
NO_SESSION = "`lightwork sessions` shows those that are there"

Work: TypeAlias = Slow[Message | None]
Feed: TypeAlias = Callable[[list[on.Event]], None]
Clock: TypeAlias = Callable[[], int]


class _Asked(NamedTuple):
    """A node was asked for what a job has written."""

    link: Link
    question: say.AskLogs
    node: str
    attempts: int
    due_ns: int


class Watchers:
    """All of one scheduler. `feed` gives events to the core; `pids`: of the processes around us; `reached`: the number
    of the last fact that is on disk."""

    def __init__(
        self,
        core: Core,
        claims: Claims,
        feed: Feed,
        pids: Mapping[str, int],
        clock: Clock,
        reached: Callable[[], int],
        hosting: Hosting,
    ) -> None:
        self._core = core
        self._claims = claims
        self._feed = feed
        self._pids = pids
        self._clock = clock
        self._reached = reached
        self._hosting = hosting
        self._open: dict[Link, int] = {}  # questions of each that are not answered
        self._line: deque[tuple[Link, Message, Work]] = deque()
        self._turning = False
        self._asked: dict[int, _Asked] = {}
        self._order = 0

    # --- what links tell ---

    def joined(self, link: Link) -> None:
        """Somebody looks in."""
        if len(self._open) >= limits.WATCHERS_MAX:
            link.close(f"{limits.WATCHERS_MAX} watchers are here already")
        else:
            self._open[link] = 0

    def left(self, link: Link) -> None:
        """It is gone: nobody waits for its answers."""
        self._open.pop(link, None)
        self._asked = {order: asked for order, asked in self._asked.items() if asked.link is not link}

    def received(self, link: Link, batch: Batch) -> None:
        """Its questions. ProtocolError: they are none, or too many at once."""
        for message, _ in batch:
            answer = _ANSWERS.get(type(message))
            if link not in self._open or isinstance(message, say.Goodbye):
                return
            if answer is None:
                raise ProtocolError(f"a watcher may not send {type(message).__name__}")
            if self._open[link] >= limits.WATCHER_QUESTIONS_MAX:
                raise ProtocolError(f"a watcher asks {limits.WATCHER_QUESTIONS_MAX} questions at once, not more")
            self._open[link] += 1
            self._line.append((link, message, answer(self, link, message)))
        self._turn_soon()

    def output(self, node: str, message: say.OutputNow) -> None:
        """A node tells what a job has written, or that it is not there any more."""
        asked = self._asked.get(message.number)
        if asked is None or asked.node != node:
            return
        del self._asked[message.number]
        if message.error:
            self._line.append((asked.link, asked.question, self._look_again(asked, message.error)))
            self._turn_soon()
            return
        told = say.Logs(asked.question.number, message.stdout, message.stderr, running=True)
        told.stdout_at, told.stderr_at = message.stdout_at, message.stderr_at
        told.state, told.attempts = JobState.RUNNING, asked.attempts
        self._tell(asked.link, told)

    def time_passed(self) -> None:
        """Nodes that do not answer are not waited for."""
        now_ns = self._clock()
        late = [order for order, asked in self._asked.items() if asked.due_ns <= now_ns]
        for order in late:
            asked = self._asked.pop(order)
            self._tell(asked.link, _unknown(asked, f"node {asked.node} has not answered within {span(NODE_S)}"))

    # --- a slice at a time ---

    def _turn_soon(self) -> None:
        if self._line and not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        link, message, work = self._line[0]
        try:
            if link in self._open or isinstance(message, _FINISHED):
                next(work)
            else:
                self._line.popleft()
        except StopIteration as end:
            self._line.popleft()
            self._tell(link, end.value)
        except Exception:
            self._line.popleft()
            log.exception("a question could not be answered: %s", type(message).__name__)
            link.close("the scheduler has a fault: its log has more")
        self._turn_soon()

    def _tell(self, link: Link, answer: Message | None) -> None:
        if link not in self._open or answer is None:
            return
        self._open[link] -= 1
        try:
            link.send(answer)
        except ValueError as error:  # longer than a message may be
            log.warning("%s for %s: %s", type(answer).__name__, link.peer.name, error)
            link.close("the answer is too long")
        if link.queued_bytes > UNREAD_MAX:
            link.abort()

    # --- answers ---

    def _status(self, link: Link, question: say.AskStatus) -> Work:
        told = yield from status(self._core.state, question.number)
        told.pids = dict(self._pids)
        return told

    def _sessions(self, link: Link, question: say.AskSessions) -> Work:
        found = yield from sessions(self._core.state, self._clock())
        return say.Sessions(question.number, found)

    def _jobs(self, link: Link, question: say.AskJobs) -> Work:
        return (yield from jobs(self._core.state, question, self._clock()))

    def _cancel(self, link: Link, question: say.CancelJobs) -> Work:
        if question.session not in self._core.state.sessions:
            return say.Answer(question.number, f"there is no session {question.session!r}", NO_SESSION)
        if len(question.jobs) > limits.WATCHED_NUMBERS_MAX:
            return say.Answer(question.number, f"at most {limits.WATCHED_NUMBERS_MAX:,} jobs at a time")
        numbers = not_ended(self._core.state, question.session, question.jobs)
        step = limits.COMMAND_JOBS_MAX
        for at in range(0, len(numbers), step):
            self._feed([on.JobsCancelled(question.session, numbers[at : at + step])])
            yield
        yield from self._durable()
        return say.Answer(question.number, jobs=numbers[: limits.WATCHED_NUMBERS_MAX], total=len(numbers))

    def _change_hosts(self, link: Link, question: say.ChangeHosts) -> Work:
        yield  # in its turn
        told = self._hosting.change(question, who(link))
        yield from self._durable()
        return told

    def _about_hosts(self, link: Link, question: say.AskHosts | say.AskWhy) -> Work:
        yield
        return self._hosting.answer(question)

    def _durable(self) -> Slow[None]:
        """Until what was done so far is on disk; there may be no room for it."""
        number, until_ns = self._core.state.recorded, self._clock() + int(DURABLE_S * SECOND_NS)
        while self._reached() < number and self._clock() < until_ns:
            yield

    def _logs(self, link: Link, question: say.AskLogs) -> Work:
        yield  # in its turn
        found = logs(self._core.state, question)
        return self._ask_node(link, question, found) if isinstance(found, Running) else found

    def _look_again(self, asked: _Asked, error: str) -> Work:
        """The job may have ended meanwhile: the core hears that, too, before we look."""
        yield
        found = logs(self._core.state, asked.question)
        return found if isinstance(found, say.Logs) else _unknown(asked, error)

    def _ask_node(self, link: Link, question: say.AskLogs, found: Running) -> Message | None:
        due_ns = self._clock() + int(NODE_S * SECOND_NS)
        asked = _Asked(link, question, found.node, found.attempts, due_ns)
        if not found.reachable:
            return _unknown(asked, f"node {found.node}, where the job runs, cannot be reached at the moment")
        self._order += 1
        self._asked[self._order] = asked
        order = say.AskOutput(self._order, found.token, max(0, question.stdout_from), max(0, question.stderr_from))
        self._claims.tell(found.node, order)
        return None


def _unknown(asked: _Asked, error: str) -> say.Logs:
    """It runs, and nothing is known of its output."""
    told = say.Logs(asked.question.number, running=True, error=error)
    told.state, told.attempts = JobState.RUNNING, asked.attempts
    return told


_FINISHED = (say.CancelJobs, say.ChangeHosts)  # what is begun with jobs and nodes is finished, whoever waits
_ANSWERS: dict[type, Callable[[Watchers, Link, Any], Work]] = {
    say.AskStatus: Watchers._status,
    say.AskSessions: Watchers._sessions,
    say.AskJobs: Watchers._jobs,
    say.CancelJobs: Watchers._cancel,
    say.AskLogs: Watchers._logs,
    say.ChangeHosts: Watchers._change_hosts,
    say.AskHosts: Watchers._about_hosts,
    say.AskWhy: Watchers._about_hosts,
}
