"""A program as the agent sees it: a shared file with its started word and its end, and output that is all read here."""

from __future__ import annotations

from lightwork.node.service.output import Output
from lightwork.node.service.worker_link import WorkerLink
from lightwork.wire.channel import OUTPUT_LIMIT
from lightwork.wire.outcome import ENVELOPE, decode_outcome


class ProgramLink(WorkerLink):
    """One run of a program; its holder writes the record before its death is told."""

    output: Output | None = None

    def read_output(self, limit: int) -> None:
        """All it writes is collected here from now on."""
        self.output = Output(limit)
        if self.pipes is not None:
            self.pipes.begin(self.output)

    def poll(self) -> bool:
        """It does not talk."""
        return False

    def claim(self, token: int, limit: int = OUTPUT_LIMIT) -> None:
        """Its output is ours from the first byte."""

    def written(self, token: int) -> Output | None:
        """All of it."""
        return (self.output or Output(0)) if self.ring.running == token else None

    def died(self, exit_code: int, peak_bytes: int, with_keeper: bool = False) -> None:
        """It has ended. A record tells how, even if the keeper died in the same moment."""
        if self.dead:
            return
        for records in self.ring.drain(self.ring.tail):
            with_keeper = False
            failure = decode_outcome(records.body).failure if records.statuses[0] & ENVELOPE else {}
            killed = int(failure.get("signal", b"0"))
            exit_code = -killed if killed else int(failure.get("exit_code", b"0"))
            peak_bytes = int(failure.get("peak_memory", b"0"))
        self._tell_death(self.output, exit_code, peak_bytes, with_keeper)
