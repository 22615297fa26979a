"""Files that jobs send back, and large values: a job ends for its user only when they are here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from lightwork.client import waiting
from lightwork.client.files import directory_name, download
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

    def on_sent_file(self, message: SentFile, body: bytes) -> None:
        """A running job has sent a file: it goes to its path below the current (or outputs') directory."""
        with self._session.lock:
            job = self._session.core.open.get(message.job)
            if job is not None:
                job.more().files_left += 1
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
                    job.more().files_left += len(files)

    def fetch_outputs(self, message: Results) -> None:
        """Files that jobs left at their end, each job's into its own directory. One without a path is the value."""
        for (index, files), token in zip(message.files, message.tokens, strict=True):
            held = self._session.core.held.get(message.jobs[index])
            if held is None:
                with self._session.lock:
                    self._free(token)
                continue
            job = held[0]
            base = self._session.base / directory_name(job.id, job.number)
            for number, file in enumerate(files):
                name = f"{token}/{number}"
                if file.path:
                    self._download(job, name, file, base)
                else:
                    self._fetch_value(job, name, file, message.node)

    def _fetch_value(self, job: Job, name: str, file: File, node: str) -> None:
        extra = job.more()
        if (token := token_of(name)) is not None:
            extra.tokens.add(token)

        def done(memory: memoryview | None, reason: str) -> None:
            extra.value = memory
            text = f"Its result ({size(file.size)}) could not be brought here from node {node}: {reason}"
            self._one_less(job, JobLost(text) if memory is None else None)

        self._values.fetch(self._session.link, name, file.size, done)

    def _download(self, job: Job, name: str, file: File, base: Path) -> None:
        if (token := token_of(name)) is not None:
            job.more().tokens.add(token)

        def done(path: Path | None, error: ClusterError | None) -> None:
            if token is None or token in job.more().tokens:  # else that attempt is no more, and another one runs
                self._file_done(job, path, error)

        download(self._session.link, name, file, base, done)

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
        if token is not None:
            self._session.core.fetched(token)


def token_of(name: str) -> int | None:
    """The attempt that a spooled file TOKEN/N belongs to."""
    token = name.partition("/")[0]
    return int(token) if token.isdecimal() else None
