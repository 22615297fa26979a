"""Attempts with files, or with an argument that was fetched for them: what follows from their end.

ended --CollectOutputs--> collected --+--> Ended
sending --> sent ---------------------+        (whichever comes last)

The end waits for files that the attempt left (outputs) and for those it sent while it ran. Whichever way it ends, or
goes back, its directory and its argument go.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from lightwork.node.core.commands import CollectOutputs, Command, ForgetJob, FreeArgument, Send
from lightwork.node.core.events import JobsEnded, OutputsCollected
from lightwork.wire.messages import AttemptFile, Ended, File, JobOptions, Returned
from lightwork.wire.outcome import (
    APART,
    ENVELOPE,
    IN_ARENA,
    KIND_MASK,
    RAISED,
    RETURNED,
    Outcome,
    decode_outcome,
    encode_outcome,
)


class End(Struct):
    """How one attempt ended."""

    token: int
    status: int
    start_ns: int
    duration_ns: int
    outcome: bytes
    files: list[File] = []


class Files:
    """Attempts with files, until their end is told."""

    def __init__(self, out: list[Command]) -> None:
        self._out = out
        self._running: dict[int, JobOptions | None] = {}  # those whose end must pass here
        self._open: dict[int, int] = {}  # files being read
        self._ends: dict[int, End] = {}
        self.arguments: set[int] = set()  # attempts for which one was, or is being, fetched

    def watch(self, token: int, options: JobOptions | None) -> None:
        """This attempt has a working directory (options), or sends files."""
        if options is not None or token not in self._running:
            self._running[token] = options

    def concern(self, tokens: list[int]) -> bool:
        """Whether one of these passes here. (Asked for each batch: nearly always no.)"""
        return bool(self._running) and not self._running.keys().isdisjoint(tokens)

    def tokens(self) -> list[int]:
        """Attempts that ended but wait."""
        return list(self._ends)

    def ages(self, now: int) -> dict[int, int]:
        """How long ago each of these started."""
        return {token: max(now - end.start_ns, 0) if end.start_ns else 0 for token, end in self._ends.items()}

    def wait(self, tokens: Sequence[int]) -> bool:
        """Whether the end of one of these waits. (Asked for each batch: nearly always no.)"""
        return bool(self._ends) and not self._ends.keys().isdisjoint(tokens)

    def has_argument(self, token: int) -> None:
        """An argument is fetched for this attempt."""
        self.watch(token, None)
        self.arguments.add(token)

    def sending(self, token: int) -> None:
        """A file of a running attempt is being read."""
        self.watch(token, None)
        self._open[token] = self._open.get(token, 0) + 1

    def sent(self, token: int, name: str, file: File | None, now: int) -> None:
        """It is in the spool."""
        if file is not None:
            self._out.append(Send(AttemptFile(token, name, file)))
        self._one_less(token, now)

    def ended(self, event: JobsEnded, now: int) -> JobsEnded:
        """Keep back the ends that must wait; what remains may be told at once."""
        kept, parts, at = [], [], 0
        for index, token in enumerate(event.tokens):
            end = at + event.lengths[index]
            if token in self._running:
                times = event.starts_ns[index], event.durations_ns[index]
                self.end(End(token, event.statuses[index], *times, event.body[at:end]), now)
            else:
                kept.append(index)
                parts.append(event.body[at:end])
            at = end
        return select(event, kept, b"".join(parts))

    def end(self, end: End, now: int) -> None:
        """One attempt ended, by its own word or by ours."""
        token = end.token
        options = self._running.pop(token, None)
        self._free_argument(token)
        if options is not None and options.outputs:
            self._open[token] = self._open.get(token, 0) + 1
            self._out.append(CollectOutputs(token, options.outputs))
        elif options is not None:
            self._out.append(ForgetJob(token))
        if token in self._open:
            self._ends[token] = end
        else:
            self._tell(end, now)

    def collected(self, event: OutputsCollected, now: int) -> None:
        """Its outputs are in the spool; or they are too large, and that is how it ended."""
        token = event.token
        if token in self._ends:
            self._ends[token].files = event.files
            if event.failure:
                self._failed_at_last(self._ends[token], event.failure)
        self._out.append(ForgetJob(token))
        self._one_less(token, now)

    def _failed_at_last(self, end: End, failure: dict[str, bytes]) -> None:
        """What it returned is of no use then; a large value stays, for it must be freed by whoever is told of it."""
        if end.status & KIND_MASK == RETURNED and not end.status & (IN_ARENA | APART):
            told = decode_outcome(end.outcome) if end.status & ENVELOPE else Outcome(end.outcome)
            end.status, end.outcome = RAISED | ENVELOPE, encode_outcome(told._replace(value=b"", failure=failure))

    def give_back(self, tokens: list[int], reason: str) -> None:
        """These have not started, or not to any purpose: somebody else may have them, and nothing of them stays."""
        if self.concern(tokens):
            for token in tokens:
                self.died(token)
        self._out.append(Send(Returned(tokens, reason)))

    def died(self, token: int) -> None:
        """It ended without a word: nothing of it is kept."""
        self._open.pop(token, None)
        if self._running.pop(token, None) is not None:
            self._out.append(ForgetJob(token))
        self._free_argument(token)

    def _free_argument(self, token: int) -> None:
        if token in self.arguments:
            self.arguments.discard(token)
            self._out.append(FreeArgument(token))

    def _one_less(self, token: int, now: int) -> None:
        left = self._open.get(token, 0) - 1
        if left > 0:
            self._open[token] = left
            return
        self._open.pop(token, None)
        end = self._ends.pop(token, None)
        if end is not None:
            self._tell(end, now)

    def _tell(self, end: End, now: int) -> None:
        age = max(now - end.start_ns, end.duration_ns) if end.start_ns else 0
        files = [(0, end.files)] if end.files else []
        message = Ended([end.token], [end.status], [age], [end.duration_ns], [len(end.outcome)], files)
        self._out.append(Send(message, end.outcome))


def without(event: JobsEnded, gone: Collection[int]) -> JobsEnded:
    """All records but those at these indices."""
    kept, parts, at = [], [], 0
    for index, length in enumerate(event.lengths):
        if index not in gone:
            kept.append(index)
            parts.append(event.body[at : at + length])
        at += length
    return select(event, kept, b"".join(parts))


def select(event: JobsEnded, kept: list[int], body: bytes) -> JobsEnded:
    """The records at these indices."""
    columns = (event.tokens, event.starts_ns, event.durations_ns, event.lengths, event.statuses)
    tokens, starts, durations, lengths, statuses = ([column[index] for index in kept] for column in columns)
    return JobsEnded(event.worker, tokens, starts, durations, lengths, statuses, body)
