"""The end of a cluster: closed, left by an exception, forgotten until the program ends, or copied by fork."""

from __future__ import annotations

import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from lightwork.client import ending
from lightwork.kit.text import count

if TYPE_CHECKING:
    from lightwork.client.offering import Offers
    from lightwork.client.session import Session


class Server(Protocol):
    """The scheduler's side of a cluster, as far as its end goes."""

    arenas: Any

    def end(self, *, clean: bool, keep_results: bool = False) -> None:
        """After the goodbye, or without one."""

    def discard(self) -> None:
        """It was not needed after all."""

    def abandon(self) -> None:
        """We are in a forked child."""


class Closable:
    """A part of JobCluster."""

    _session: Session = None  # type: ignore[assignment]  # only while it is made
    _offers: Offers | None = None  # made when nodes are wanted
    _server: Server
    _closed: bool
    _wall_time_s: float | None

    def _give_up(self) -> None:
        """The constructor failed."""
        ending.remove(self)
        session: Any = self._session
        if session is not None:
            session.give_up() if session.lasting else session.sever()
        if self._offers is not None:
            self._offers.stop()
        self._server.discard()

    def _unfinished(self) -> str:
        core = self._session.core
        number, behind = core.unfinished(), core.left_behind()[0]
        if behind:
            earlier = f"{count(behind, 'job')} of earlier lives of the program"
            return f"{count(number, 'job')} and {earlier}" if number else earlier
        return count(number, "job") if number else "callbacks to return"

    def close(self, timeout: float | None = None, terminate: bool = False) -> bool:
        """Wait for all jobs, run cleanups, and end. False if jobs are left after `timeout` seconds: then it is open.

        `terminate` cancels what has not ended. A closed cluster's jobs keep their results. With `recover`: jobs of
        earlier lives are waited for as well, and True means that nothing is kept for a later one.
        """
        if self._closed:
            return True
        session = self._session
        session.waits.check_thread("the end of the cluster")
        if not terminate and not session.waits.until(session.all_over, timeout, self._unfinished, steadily=True):
            return False
        self._end(cancel=terminate)
        return True

    def shutdown(self) -> None:
        """As `close()`."""
        self.close()

    def _end(self, *, cancel: bool) -> None:
        self._closed = True
        ending.remove(self)
        session = self._session
        self._wall_time_s = time.monotonic() - session.began
        dropped = session.core.left_behind()[1]
        clean = False
        try:
            session.waits.ask_status()
            session.leave(cancel=cancel)
            clean = session.left
        finally:
            if not clean:
                session.sever()
            self._end_server(clean)
        self._say_failures()
        if dropped and clean:
            from lightwork.client.waiting import say

            what = count(dropped, "result of an earlier life", "results of earlier lives")
            say(f"{what} of the program had not been asked for: dropped")

    def _detach(self) -> None:
        """The program ends, and its session goes on."""
        self._closed = True
        ending.remove(self)
        session: Any = self._session
        self._wall_time_s = time.monotonic() - session.began
        from lightwork.client.waiting import say

        again = f"run the program again, or {self._again()}"
        unfinished = session.core.unfinished()
        lost = session.detach(f"The program has left its session {session.name!r}; jobs go on there: {again}.")
        self._server.end(clean=False)
        say(f"detached from session {session.name!r}: {count(unfinished, 'job')} not ended; {again}")
        if lost:
            say(f"warning: {count(lost, 'job')} had not arrived at the scheduler, and did not outlive the program")

    def _again(self) -> str:
        """How somebody else takes the session up."""
        return f'lightwork.attach("{self._session.name}")'

    def _end_server(self, clean: bool) -> None:
        payloads, results = self._session.payloads, self._server.arenas.results
        keep = payloads.unopened() > 0 and results is not None
        if keep and results is not None:
            weakref.finalize(payloads, results.close)
        self._server.end(clean=clean, keep_results=keep)

    def _say_failures(self) -> None:
        """How many jobs failed, in a line. (`lightwork run` speaks of each by itself, and overrides this.)"""
        from lightwork.client import report, waiting

        core = self._session.core
        if line := report.closing_line(core.failed, core.ended, core.first_failed):
            waiting.say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif not self._closed:
            self._leave()

    def _leave(self) -> None:
        """An exception ends it: what outlives the program goes on, everything else is cancelled."""
        if self._session.lasting:
            self._detach()
        else:
            self._end(cancel=True)

    def at_exit(self, *, crashed: bool) -> None:
        """The program ends without a close: wait as close does, or cancel if an exception ended it."""
        try:
            if crashed:
                self._leave()
            else:
                self.close()
        except KeyboardInterrupt:
            self._leave()

    def abandon(self) -> None:
        """In a forked child."""
        self._closed = True
        self._session.abandon()
        self._server.abandon()
