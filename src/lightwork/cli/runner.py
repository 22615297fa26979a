"""What `lightwork run` does: a cluster for one program, argument lines into it, output out of it."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from lightwork.cli import arguments, output, report
from lightwork.cli.flow import Flow
from lightwork.client.cluster import JobCluster
from lightwork.client.job import Job
from lightwork.client.shared import SharedJobCluster
from lightwork.client.waiting import speak_through
from lightwork.kit.text import count
from lightwork.model.errors import CannotBePlaced, ClusterError, LightworkError, UserError
from lightwork.model.states import JobState

PIPE_CLOSED = 141  # what a shell reports of a program that died of SIGPIPE


@dataclass(frozen=True)
class Options:
    """The command line, option by option."""

    program: str
    template: tuple[str, ...]
    files: tuple[str, ...]
    args: tuple[str, ...]
    args_from: str | None
    slots: int | None
    stdin: str | None
    env: tuple[str, ...]
    outputs: tuple[str, ...]
    outputs_dir: str
    output_limit: str
    timeout: float | None
    memory: str | None
    ordered: bool
    name: str | None
    quiet: bool
    nodes: tuple[str, ...] = ()
    listen: str | None = None
    secret_file: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cafile: str | None = None
    weak_secret: bool = False
    scheduler: str | None = None
    retries: int = 0
    priority: int = 0
    where: str | None = None
    resources: tuple[str, ...] = ()
    wait_for_nodes: bool = False


def run(options: Options) -> int:
    """Run it all; the exit status tells how many jobs failed."""
    if options.stdin == "-" and options.args_from == "-":
        raise UserError("stdin can be the jobs' input or the list of arguments, not both", hint="put one into a file")
    runner = _Runner(options)
    speak_through(output.say)  # above the bar
    try:
        return runner.run()
    except BrokenPipeError:
        output.let_go_of_stdout()
        return PIPE_CLOSED
    finally:
        runner.bar.close()


class _Runner:
    def __init__(self, options: Options) -> None:
        self.bar = output.Bar(wanted=not options.quiet)
        self._options = options
        self._flow: Flow[Job] = Flow(slots=options.slots or os.cpu_count() or 1, ordered=options.ordered)
        self._arguments: dict[int, list[str]] = {}  # of the jobs that are not yet shown
        self._failed = 0
        self._hinted = False

    def run(self) -> int:
        options = self._options
        given = argument_lists(options)
        stdin, env = _read(options.stdin), arguments.environment(options.env)
        with _cluster(options, self._flow.ended) as cluster:
            jobs = cluster.options(stdin=stdin, env=env, depends=options.files if _own_directory(options) else ())

            def submit(number: int, words: list[str]) -> None:
                self._arguments[number] = words
                jobs.submit_job_id(number, *words)

            for job in self._flow.shown(given, submit, _printed):
                if job is not None:
                    self._show(job)
                self._flow.resize(sum(node.slots for node in cluster.nodes))
                failed = f", {self._failed:,} failed" if self._failed else ""
                self.bar.update(self._flow.finished, self._flow.total, failed)
        self.bar.close()
        if self._failed and self._flow.finished > 1 and not options.quiet:
            output.say(f"{self._failed:,} of {count(self._flow.finished, 'job')} failed")
        return report.exit_status(self._failed)

    def _show(self, job: Job) -> None:
        words = self._arguments.pop(job.id)
        _write(job.stdout_bytes)
        output.write(sys.stderr, job.stderr_bytes)
        if job.status is not JobState.FINISHED:
            self._failed += 1
            error = _error(job)
            reason = str(error.args[0]).partition("\n")[0] if error is not None else job.status.name.lower()
            line = report.failure(job.id, words, job.node or "", reason, job.stderr_bytes)
            output.error(line, hint=self._hint(error, words))
        elif job.dropped[0]:
            self._failed += 1
            output.error(report.incomplete(job.id, words, "stdout", job.dropped[0]), hint="--output-limit keeps more")

    def _hint(self, error: LightworkError | None, words: list[str]) -> str:
        """Said once: what newcomers run into first."""
        misplaced = isinstance(error, CannotBePlaced)
        here = "" if misplaced else report.only_here(words, self._options.files)
        if self._hinted or not (misplaced or here):
            return ""
        self._hinted = True
        if misplaced:
            return "ask for less, or for another node; --wait-for-nodes waits for one that may come"
        return f"jobs do not run in this directory; send {here} with -f, or give its full path"


def argument_lists(options: Options) -> Iterator[list[str]]:
    """The arguments of each job. Those of `-a` are all looked at now; lines are read when their turn comes."""
    given = [_arguments(options.template, text) for text in options.args]
    if options.args_from is not None:
        file = _open(options.args_from)
        return itertools.chain(given, (_arguments(options.template, text) for text in arguments.lines(file)))
    return iter(given if options.args else [list(options.template)])


def _arguments(template: tuple[str, ...], text: str) -> list[str]:
    words, warning = arguments.for_job(template, text)
    if warning:
        output.warning(warning)
    return words


def _own_directory(options: Options) -> bool:
    """Whether each job runs in its own directory. Then its files must lie there; else beside the program."""
    return bool(options.outputs or options.stdin)


class _Cluster(JobCluster):
    def _say_failures(self) -> None:
        """Each failure was told when its turn came."""


class _SharedCluster(SharedJobCluster):
    def _say_failures(self) -> None:
        """As above."""


def _cluster(options: Options, ended: Callable[[Job], None]) -> JobCluster:
    given: dict[str, Any] = {
        "depends": () if _own_directory(options) else options.files,
        "callback": ended,
        "name": options.name,
        "timeout": options.timeout,
        "memory": options.memory,
        "retries": options.retries,
        "priority": options.priority,
        "where": options.where,
        "resources": arguments.resources(options.resources),
        "wait_for_nodes": options.wait_for_nodes,
        "outputs": options.outputs,
        "outputs_dir": options.outputs_dir,
        "output_limit": options.output_limit,
        "nodes": arguments.nodes(options.nodes),
        "secret_file": options.secret_file,
        "certfile": options.certfile,
        "keyfile": options.keyfile,
        "cafile": options.cafile,
        "weak_secret": options.weak_secret,
    }
    if options.scheduler is None:
        return _Cluster(options.program, slots=options.slots, listen=options.listen, **given)
    if options.slots is not None or options.listen is not None:
        raise UserError("-j and --listen are for a run of its own, not for one on a scheduler that others share")
    return _SharedCluster(options.program, scheduler=options.scheduler, **given)


def _open(path: str) -> BinaryIO:
    """A file to read; `-` is our stdin, by a buffer of our own: a thread may still wait for it when we leave."""
    try:
        return open(0, "rb", closefd=False) if path == "-" else open(path, "rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint="- stands for standard input") from None


def _write(data: bytes) -> None:
    """What a job printed, to our stdout."""
    try:
        output.write(sys.stdout, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        output.let_go_of_stdout()
        raise ClusterError(f"standard output cannot be written: {error.strerror}") from None


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    with _open(path) as file:
        return file.read()


def _printed(job: Job) -> int:
    return len(job.stdout_bytes) + len(job.stderr_bytes)


def _error(job: Job) -> LightworkError | None:
    """Why it did not end well."""
    try:
        job.get()
    except LightworkError as error:
        return error
    return None
