"""Jobs that are not yet on disk over there: what travels with them, and submits that are repeated until they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from lightwork.wire.messages import Computation, Place, Submit

JOB_BYTES = 100  # what a job counts beside its arguments while it is not accepted

_T = TypeVar("_T")


class Tag(Struct, gc=False):
    """What travels with a job besides its arguments. `apart`: bytes of arguments that the scheduler fetches."""

    key: str = ""
    label: bytes = b""
    print: bytes = b""
    apart: int = 0


NO_TAG = Tag()


class Kept(Struct):
    """A submit that the scheduler has not accepted."""

    computation: Computation
    message: Submit
    body: bytes
    size: int

    @property
    def numbers(self) -> range:
        """Of its jobs."""
        return range(self.message.first, self.message.first + len(self.message.lengths))


class Keeping:
    """All of them, and the tags of jobs that have not been sent."""

    def __init__(self) -> None:
        self.tags: dict[int, Tag] = {}
        self.kept: deque[Kept] = deque()
        self.large: set[int] = set()  # jobs whose arguments the scheduler may still fetch
        self.waiting_bytes = 0

    def tag(self, number: int, tag: Tag) -> None:
        """What goes with a job that is about to be added."""
        if tag is not NO_TAG:
            self.tags[number] = tag
        elif number in self.tags:  # of one that Ctrl-C kept from being
            del self.tags[number]

    def added(self, number: int, size: int, apart: int) -> None:
        """A job is there."""
        if apart:
            self.large.add(number)
        self.waiting_bytes += size + apart + JOB_BYTES

    def rename(self, number: int, label: bytes) -> None:
        """Of a job that has not been sent."""
        self.tags[number] = replace(self.tags.get(number, NO_TAG), label=label)

    def keep(self, computation: Computation, message: Submit, body: bytes) -> Submit:
        """A submit is about to be sent: with what belongs to its jobs."""
        numbers = range(message.first, message.first + len(message.lengths))
        size = len(body) + JOB_BYTES * len(numbers)
        if self.tags:
            tags = [self.tags.pop(number, NO_TAG) for number in numbers]
            size += sum(tag.apart for tag in tags)
            message = _with_columns(message, tags)
        self.kept.append(Kept(computation, message, body, size))
        return message

    def accepted(self, upto: int) -> list[int]:
        """All jobs below are on disk. Those of them whose large arguments may go now."""
        while self.kept and self.kept[0].numbers.stop <= upto:
            self.waiting_bytes -= self.kept.popleft().size
        done = [number for number in self.large if number < upto]
        self.large.difference_update(done)
        return done

    def jobs(self, wanted: Callable[[int], bool]) -> int:
        """How many jobs that are wanted are not on disk; those that were not sent apart."""
        return sum(wanted(number) for kept in self.kept for number in kept.numbers)

    def forget(self, wanted: Callable[[int], bool]) -> None:
        """Submits none of whose jobs is wanted need not be repeated."""
        for kept in list(self.kept):
            if not any(map(wanted, kept.numbers)):
                self.waiting_bytes -= kept.size
                self.kept.remove(kept)

    def repeat(self, wanted: Callable[[int], bool]) -> Iterator[tuple[Computation, Submit, bytes]]:
        """What is to be sent again: of each submit the runs of jobs that are wanted."""
        for kept in self.kept:
            flags = [wanted(number) for number in kept.numbers]
            if all(flags):
                yield kept.computation, kept.message, kept.body
                continue
            for run in _runs(flags):
                yield kept.computation, *_cut(kept, run.start, run.stop)


def _with_columns(message: Submit, tags: list[Tag]) -> Submit:
    return replace(
        message,
        keys=_column([tag.key for tag in tags]),
        ids=_column([tag.label for tag in tags]),
        prints=_column([tag.print for tag in tags]),
        apart=[Place(index, 0, tag.apart) for index, tag in enumerate(tags) if tag.apart],
    )


def _column(values: list[_T]) -> list[_T]:
    """Empty if no job has one."""
    return values if any(values) else []


def _runs(flags: list[bool]) -> Iterator[range]:
    begin = 0
    for end, flag in enumerate([*flags, False]):
        if not flag:
            if end > begin:
                yield range(begin, end)
            begin = end + 1


def _cut(kept: Kept, begin: int, end: int) -> tuple[Submit, bytes]:
    whole = kept.message
    at = sum(whole.lengths[:begin])
    lengths = whole.lengths[begin:end]
    part = replace(
        whole,
        first=whole.first + begin,
        lengths=lengths,
        keys=whole.keys[begin:end],
        ids=whole.ids[begin:end],
        prints=whole.prints[begin:end],
        apart=[Place(row.index - begin, 0, row.size) for row in whole.apart if begin <= row.index < end],
    )
    return part, kept.body[at : at + sum(lengths)]
