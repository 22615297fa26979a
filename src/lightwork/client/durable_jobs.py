"""Jobs of a session that outlives the program.

DurableJob       its `id` is told to the scheduler when the program sets it
KeyedJob         ... it has a key; the session finds it again as long as the program holds it
RecoveredJob     ... an earlier life of the program submitted it; its result comes when somebody asks for it
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from lightwork.client.core import FINISHED
from lightwork.client.job import Job
from lightwork.client.past import Past
from lightwork.client.records import Record
from lightwork.model.states import JobState
from lightwork.wire.messages import Computation, JobOptions

if TYPE_CHECKING:
    from lightwork.client.durable_session import DurableSession

_ID: Any = Record.__dict__["id"]  # the descriptor of the field


class DurableJob(Job, gc=False, eq=False):
    """See the list above."""

    @property  # type: ignore[misc]  # a field of the base, with the same meaning
    def id(self) -> Any:
        """What its user calls it; at first its number."""
        return _ID.__get__(self)

    @id.setter
    def id(self, value: Any) -> None:
        self.call(value)
        self.session.renamed(self, value)

    def call(self, value: Any) -> None:
        """Its id from now on, without telling anybody."""
        _ID.__set__(self, value)

    @property
    def session(self) -> DurableSession:
        """Where it belongs."""
        session: DurableSession = self.under.session  # type: ignore[assignment]  # plans know a session
        return session


class KeyedJob(DurableJob, gc=True, eq=False, weakref=True):
    """See the list above."""

    key: str = ""


class PastUnder:
    """Stands for the plan of a job that an earlier life submitted: all that is known of its computation."""

    __slots__ = ("computation", "options", "session")

    def __init__(self, session: DurableSession, past: Past) -> None:
        self.session = session
        self.computation = Computation(past.digest, past.kind, past.name)
        self.options = JobOptions()


class RecoveredJob(KeyedJob, gc=True, eq=False, weakref=True):
    """See the list above."""

    past: Past | None = None

    @property
    def _ended_before(self) -> bool:
        """Whether it has ended, though its result is not here."""
        return self.past is not None and self.state < FINISHED <= self.past.state

    @property
    def status(self) -> JobState:
        """Where the job stands."""
        if self._ended_before and self.past is not None:
            return JobState(self.past.state)
        return super().status

    @property
    def redelivered(self) -> bool:
        """Whether an earlier life of the program may have had this result."""
        if self.state < FINISHED and self.past is not None:
            return self.past.again
        return super().redelivered

    # --- its result is asked for ---

    def __call__(self, clear: bool = False) -> Any:
        """As for any job."""
        self.session.lives.want(self)
        return super().__call__(clear)

    def get(self, timeout: float | None = None) -> Any:
        """As for any job."""
        self.session.lives.want(self)
        return super().get(timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        """As for any job."""
        self.session.lives.want(self)
        return super().__await__()

    def _ended(self) -> Any:
        if self._ended_before:
            self.session.lives.want(self)
            self.session.waits.for_job(self, None)
        return super()._ended()

    # --- what it was submitted with ---

    @property
    def args(self) -> tuple[Any, ...]:
        """Its arguments; of a program: text."""
        return self._call()[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """Its keyword arguments."""
        return self._call()[1]

    def _call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        past = self.past
        if past is None:
            return (), {}
        return self.session.lives.arguments_of(past)
