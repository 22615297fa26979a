"""A job as the core keeps it. These exist by the million, so they are small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from lightwork.wire.messages import Computation, JobOptions, Place, Results, Running


class Under(Protocol):
    """What a job is submitted under: its computation and options, shared by many jobs."""

    computation: Computation
    options: JobOptions


class News:
    """A message that speaks of many jobs, shared by their records, which look up their times in its columns."""

    __slots__ = ("left", "message", "plain")

    def __init__(self, message: Results | Running) -> None:
        self.message = message
        self.left = 0  # records that user code has not taken yet
        self.plain = False  # every job returned a small value and printed nothing


class Extra:
    """What only few jobs have."""

    __slots__ = (
        "event",
        "files",
        "files_left",
        "guard",
        "place",
        "provisional",
        "sent",
        "tokens",
        "trouble",
        "value",
        "watchers",
    )

    def __init__(self) -> None:
        self.watchers: list[Callable[[Any], None]] = []  # each is told of the end, once
        self.event: Any = None
        self.provisional: Any = None  # the latest, in whatever form the client keeps it
        self.sent: set[tuple[str, str]] = set()  # path and digest of files that it sent while it ran
        self.files: list[Any] = []  # that have arrived
        self.files_left = 0  # that must arrive before the job has ended for its user
        self.tokens: set[int] = set()  # attempts that the node keeps files of
        self.guard: Any = None  # gives its result's shared memory back if nobody opens it
        self.place: Place | None = None  # of its arguments in the client's arena
        self.trouble: BaseException | None = None  # why it ended, if the client itself ended it
        self.value: memoryview | None = None  # its result, if that came as a stream, until it is opened

    def void(self) -> None:
        """What an attempt sent that is no more; what of it is still on its way will not count."""
        self.provisional = self.trouble = None
        self.files, self.files_left = [], 0
        self.sent = set()
        self.tokens = set()


class Record(Struct, gc=False, eq=False):
    """One job. `index`: its row in `news`; once taken by user code, the complement of it (negative).

    The garbage collector does not look at records: a million of them would cost it dearly, and they are in no cycle
    once they have ended. (Errors are raised as copies, so that no traceback is kept that leads back here.)
    """

    under: Any  # an Under
    id: Any = None
    submitted: float = 0.0
    number: int = -1
    state: int = 0
    raw: object = None  # arguments until they are sent; then None; then the outcome, or what was made of it
    news: News | None = None
    index: int = 0
    extra: Extra | None = None

    def more(self) -> Extra:
        """The rare attributes, made when first needed."""
        if self.extra is None:
            self.extra = Extra()
        return self.extra


R = TypeVar("R", bound=Record)


class Group(Generic[R]):
    """Jobs not sent yet: consecutive numbers under one computation and options."""

    __slots__ = ("under", "first", "records")

    def __init__(self, under: Under, first: int) -> None:
        self.under = under
        self.first = first
        self.records: list[R] = []
