"""A job as its user sees it."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightwork.client.core import FINISHED, RUNNING
from lightwork.client.records import Record
from lightwork.model.errors import NotReady
from lightwork.model.states import JobState
from lightwork.payload.reading import unpack_value
from lightwork.payload.results import Ended, Output
from lightwork.wire.messages import FUNCTION, Results
from lightwork.wire.outcome import ARENA_REFERENCE, IN_ARENA

if TYPE_CHECKING:
    from lightwork.client.history import Attempt
    from lightwork.client.plan import Plan

_SILENT = Output()


class Job(Record, gc=False, eq=False):
    """One run of a computation. `id` is yours to set (at first: its number, from 0); `uid` is its identity.

    `job()` waits and returns the result, or None if the job failed; `get()` raises the job's own error instead.
    """

    if TYPE_CHECKING:
        under: Plan

    def __repr__(self) -> str:
        return f"<Job {self.id!r} {self.status.name}>"

    # --- the result ---

    def __call__(self, clear: bool = False) -> Any:
        """Wait for the end and return the result: None if the job failed, a program's exit code always.

        `clear` resets `finish`.
        """
        if self.state < FINISHED:
            self.under.session.waits.for_job(self, None)
        if clear and self.extra is not None and self.extra.event is not None:
            self.extra.event.clear()
        made = self.raw
        if type(made) is not tuple:
            made = self._open()
            if type(made) is not tuple:
                return made.value
        return made[0]

    def get(self, timeout: float | None = None) -> Any:
        """Wait up to `timeout` seconds (None: for ever) for the end and return the result.

        Raises what the job raised, with the traceback from where it ran as its cause; another JobError if it ended
        otherwise (ProgramError for a program's non-zero exit code); NotReady if the time is over.
        """
        if self.state < FINISHED and not self.under.session.waits.for_job(self, timeout):
            raise NotReady(f"job {self.id} has not ended within {timeout:g} s; it is {self.status.name}")
        made = self._open()
        if type(made) is tuple:
            return made[0]
        if made.error is not None:
            raise _again(made.error)
        return made.value

    def __await__(self) -> Generator[Any, None, Any]:
        """Like `get()`, in an asyncio program. Cancelling the wait does not cancel the job."""
        if self.state < FINISHED:
            # Whoever awaits has asyncio loaded; the client itself has no use for it.
            loop = sys.modules["asyncio"].get_running_loop()
            future = loop.create_future()

            def resolve() -> None:
                if not future.done():
                    future.set_result(None)

            def ended(job: Job) -> None:
                try:
                    loop.call_soon_threadsafe(resolve)
                except RuntimeError:  # the program has closed its loop: nobody waits any more
                    pass

            self.under.session.watch(self, ended)
            self.under.session.hurry()
            yield from future.__await__()
        return self.get()

    def _open(self) -> Any:
        """The end, taken apart: a tuple of the bare value, or an `Ended`. From now on it counts as taken."""
        raw = self.raw
        session = self.under.session
        if type(raw) is not bytes:
            session.take(self)
            return raw
        made: Any = None
        news = self.news
        if news is not None and news.plain and raw and self.extra is None:
            try:
                made = (unpack_value(raw),)
            except Exception:  # noqa: BLE001  met again below, and told as the job's end
                made = None
        if made is None:
            made = session.payloads.open_once(self)
        return session.opened(self, raw, made)

    @property
    def status_word(self) -> int:
        """How the attempt ended, as wire.outcome writes it; -1: none has."""
        news = self.news
        return news.message.statuses[self._row] if news is not None and isinstance(news.message, Results) else -1

    def peek(self) -> Ended:
        """The end of a job that has ended, without counting as taken."""
        raw, trouble = self.raw, self.extra.trouble if self.extra is not None else None
        if isinstance(raw, Ended):
            return raw
        if self.status_word < 0:
            return Ended(None, trouble, str(trouble))
        program = self.under.computation.kind != FUNCTION
        ended = self.under.session.payloads.open_outcome(
            JobState(self.state),
            self.status_word,
            cast(bytes, raw),
            program,
            self.extra.value if self.extra is not None else None,
        )
        if trouble is not None:
            ended.error, ended.text = trouble, str(trouble)
        return ended

    def _ended(self) -> Any:
        """The opened end; None while there is none."""
        return self._open() if self.state >= FINISHED else None

    @property
    def result(self) -> Any:
        """The result, as `job()` returns it, without waiting; until then the latest provisional one, or None."""
        moment = self.under.session.moment_of(self)
        if moment is not None:
            return moment.value
        ended = self._ended()
        if ended is None:
            return self.provisional
        return ended[0] if type(ended) is tuple else ended.value

    @property
    def provisional(self) -> Any:
        """The latest value that the job sent by `send_provisional`, or None. In a callback: the one it is about."""
        moment = self.under.session.moment_of(self)
        if moment is not None:
            return moment.value
        extra = self.extra
        return extra.provisional() if extra is not None and extra.provisional is not None else None

    @property
    def exception(self) -> str | None:
        """The traceback from where the job ran, or the sentence that says why it failed; None if it did not."""
        ended = self._ended()
        return ended.text if isinstance(ended, Ended) and ended.error is not None else None

    execution_trace = exception

    def _output(self, name: str) -> Output:
        ended = self._ended()
        return cast(Output, getattr(ended, name)) if isinstance(ended, Ended) else _SILENT

    @property
    def stdout(self) -> str:
        """What the job and its children wrote to standard output; empty until it has ended."""
        return self._output("stdout").text

    @property
    def stderr(self) -> str:
        """What the job and its children wrote to standard error; empty until it has ended."""
        return self._output("stderr").text

    @property
    def stdout_bytes(self) -> bytes:
        """Standard output as it was written."""
        return self._output("stdout").data

    @property
    def stderr_bytes(self) -> bytes:
        """Standard error as it was written."""
        return self._output("stderr").data

    @property
    def dropped(self) -> tuple[int, int]:
        """How many bytes of stdout and of stderr were left out in the middle (see `output_limit`)."""
        return self._output("stdout").dropped, self._output("stderr").dropped

    # --- where it stands ---

    @property
    def status(self) -> JobState:
        """Where the job stands. In a callback about a provisional result: RUNNING."""
        if self.under.session.moment_of(self) is not None:
            return JobState.RUNNING
        return JobState(self.state)

    @property
    def uid(self) -> str:
        """SESSION/NUMBER: no other job has it."""
        return f"{self.under.session.name}/{self.number}"

    @property
    def finish(self) -> threading.Event:
        """An event that is set when the job has ended."""
        return self.under.session.event_of(self)

    @property
    def _row(self) -> int:
        return self.index if self.index >= 0 else ~self.index

    @property
    def _results(self) -> Results | None:
        news = self.news
        return news.message if news is not None and isinstance(news.message, Results) else None

    @property
    def node(self) -> str | None:
        """The name of the node that it runs or ran on."""
        news = self.news
        return (news.message.node or None) if news is not None else None

    @property
    def host(self) -> str | None:
        """The address of that node."""
        node = self.node
        return self.under.session.nodes.address_of(node) if node is not None else None

    ip_addr = host

    @property
    def submit_time(self) -> float:
        """When it was submitted: seconds since 1970."""
        return self.submitted + self.under.session.epoch

    @property
    def start_time(self) -> float | None:
        """When its last attempt started (seconds since 1970); None if none has."""
        news = self.news
        if news is None:
            return None
        start_ns = news.message.starts_ns[self._row]
        return max(start_ns / 1e9, self.submit_time) if start_ns > 0 else None

    @property
    def end_time(self) -> float | None:
        """When its last attempt ended (seconds since 1970)."""
        results, start = self._results, self.start_time
        if results is None or start is None or self.state < FINISHED:
            return None
        return start + results.durations_ns[self._row] / 1e9

    @property
    def attempts(self) -> int:
        """How often it was started."""
        results = self._results
        if results is not None:
            return results.attempts[self._row]
        return 1 if self.state == RUNNING else 0

    @property
    def redelivered(self) -> bool:
        """Whether an earlier life of the program may have had this result already."""
        results = self._results
        return results is not None and self._row in results.again

    @property
    def history(self) -> list[Attempt]:
        """All its attempts, once it has ended: those that failed, were lost or beaten by a twin, and the last one."""
        results = self._results
        if results is None or self.state < FINISHED:
            return []
        from lightwork.client.history import history_of

        return history_of(self, results, self._row)

    @property
    def files(self) -> list[Path]:
        """The files that it sent back and that were written here."""
        return list(self.extra.files) if self.extra is not None else []

    def explain(self) -> list[str]:
        """Why it waits: a sentence for each node, or for what else it waits for."""
        from lightwork.client.steps import explain

        return explain(self)

    def cancel(self) -> bool:
        """Cancel it; True if it had not ended. A running job is interrupted and may still return its best result."""
        return self.under.session.cancel([self])


def _again(error: BaseException) -> BaseException:
    """An error of its own for each `get()`: tracebacks do not pile up, and what is kept leads to nobody's variables."""
    try:
        fresh = copy.copy(error)
    except Exception:  # noqa: BLE001  a __reduce__ of the user's may raise anything; then the one and only is raised
        return error
    fresh.__cause__ = error.__cause__
    return fresh


def failed_item(job: Job) -> int | None:
    """Which item of a chunk has failed."""
    ended = job.raw
    return ended.item if isinstance(ended, Ended) else None


def measure(job: Job) -> tuple[float | None, int]:
    """How long an ended job ran, in seconds, and how large its outcome is (bytes); before that is opened."""
    raw, news = job.raw, job.news
    if type(raw) is not bytes or news is None or not isinstance(news.message, Results):
        return None, 0
    row = job.index if job.index >= 0 else ~job.index
    large = news.message.statuses[row] & IN_ARENA and len(raw) == ARENA_REFERENCE.size
    size = ARENA_REFERENCE.unpack(raw)[1] if large else len(raw)
    if job.extra is not None and job.extra.value is not None:
        size += len(job.extra.value)
    return news.message.durations_ns[row] / 1e9, size
