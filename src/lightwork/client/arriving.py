"""Files that jobs send back, and large values: a job ends for its user only when they are here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from lightwork.client import waiting
from lightwork.client.files import Places, directory_name, download
from lightwork.client.job import Job
from lightwork.client.values import Values
from lightwork.kit.text import size
from lightwork.model.errors import ClusterError, JobLost
from lightwork.wire.messages import File, Results, SentFile

if TYPE_CHECKING:
    from lightwork.client.session import Session


class Arrivals:
    """Fetches them, and ends the jobs that waited for them by `tell_ended`."""

    def __init__(
        self, session: Session, telling: AbstractContextManager[None], tell_ended: Callable[[list[Job], str], None]
    ) -> None:
        self._session = session
        self._telling = telling
        self._tell_ended = tell_ended
        self._values = Values()
        self._places = Places()
        self._numbers = itertools.count(1)

    def on_sent_file(self, message: SentFile, body: bytes) -> None:
        """A running job has sent a file: it goes to its path below the current (or outputs') directory."""
        with self._session.lock:
            job = self._session.core.open.get(message.job)
            if job is not None:
                job.more().files_left += 1
                job.more().sent.add((message.file.path, message.file.digest))
            elif message.job not in self._session.core.held:
                self._free(token_of(message.name))  # nobody waits for it any more
        if job is not None:
            self._download(job, message.name, message.file, self._session.base)

    def expect(self, message: Results) -> None:
        """The jobs must not end before their files are here."""
        with self._session.lock:
            for index, files in message.files:
                job = self._session.core.open.get(message.jobs[index])
                if job is not None:
                    job.more().files_left += len(_new(job, files))

    def fetch_outputs(self, message: Results) -> None:
        """Files that jobs left at their end, each job's into its own directory. One without a path is the value."""
        for (index, files), token in zip(message.files, message.tokens, strict=True):
            held = self._session.core.held.get(message.jobs[index])
            if held is not None and held[0].news is not None and held[0].news.message is not message:
                continue  # it comes a second time, and its files are on their way
            if held is None:
                with self._session.lock:
                    self._free(token)
                continue
            job = held[0]
            base = self._session.base / directory_name(job.id, job.number)
            new = _new(job, files)
            for number, file in enumerate(files):
                if file not in new:
                    continue
                name = f"{token}/{number}" if token else ""
                if file.path:
                    self._download(job, name, file, self._session.base if file.sent else base)
                else:
                    self._fetch_value(job, name, file, message.node)

    def _fetch_value(self, job: Job, name: str, file: File, node: str) -> None:
        extra = job.more()
        extra.tokens.add(self._token(name))

        def done(memory: memoryview | None, reason: str) -> None:
            extra.value = memory
            text = f"Its result ({size(file.size)}) could not be brought here from node {node}: {reason}"
            self._one_less(job, JobLost(text) if memory is None else None)

        kind = "spool" if name else "blob"
        self._values.fetch(self._session.fetcher, kind, name or file.digest, file.size, done)

    def _download(self, job: Job, name: str, file: File, base: Path) -> None:
        token = self._token(name)
        job.more().tokens.add(token)

        def done(path: Path | None, error: ClusterError | None) -> None:
            if token in job.more().tokens:  # else that attempt is no more, and another one runs
                self._file_done(job, path, error)

        kind = "spool" if name else "blob"
        download(self._session.fetcher, kind, name or file.digest, file, base, self._places, done)

    def _token(self, name: str) -> int:
        """Of the attempt whose file this is. For one that the scheduler has: a number of our own, below 0."""
        return token_of(name) or -next(self._numbers)

    def _file_done(self, job: Job, path: Path | None, error: ClusterError | None) -> None:
        if error is not None:
            waiting.say(f"error: job {job.id}: {error}")
        if path is not None:
            job.more().files.append(path)
        self._one_less(job, error)

    def _one_less(self, job: Job, error: BaseException | None) -> None:
        extra = job.more()
        with self._telling:
            with self._session.lock:
                extra.files_left -= 1
                if error is not None and extra.trouble is None:
                    extra.trouble = error
                over = not extra.files_left and self._session.core.release(job)
            if over:
                self._tell_ended([job], job.node or "")

    def _free(self, token: int | None) -> None:
        if token:
            self._session.core.fetched(token)


def _new(job: Job, files: list[File]) -> list[File]:
    """Those that have not come, or are coming, since the job sent them."""
    return [file for file in files if not (file.sent and (file.path, file.digest) in job.more().sent)]


def token_of(name: str) -> int | None:
    """The attempt that a spooled file TOKEN/N belongs to; None for "", one that the scheduler has."""
    token = name.partition("/")[0]
    return int(token) if token.isdecimal() else None
