"""Nodes on many machines, started and stopped side by side; what became of each is told as soon as it is known.

hosts file ──> wanted ─┐
                       ├─ differ? ──> start, stop, both ──> ssh ──> outcome ──> record
record ──────> there ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

from lightwork.config.hosts_file import Host
from lightwork.pools import scripts
from lightwork.pools.record import Record, name_of
from lightwork.pools.ssh import Done, Ssh, who

AT_ONCE = 32
START_S = 60.0
INSTALL_S = 600.0
STOP_S = 24 * 3600.0  # running jobs may end
STOP_NOW_S = 60.0
UP, DOWN = "up", "down"
_LINES = 5  # of what a machine said, when nothing else is known


class Outcome(NamedTuple):
    """What became of one machine; `trouble`: why a node that is up has joined nobody yet."""

    host: Host
    wanted: str  # UP or DOWN
    text: str
    failed: bool = False
    hint: str = ""
    trouble: str = ""


Tell = Callable[[Outcome], None]


class Changes(NamedTuple):
    """From what is there to what is wanted."""

    stop: list[Host]
    start: list[Host]


class Farm:
    """`words`: further options for every node, such as --join; `environment`: for them, the secret among it."""

    def __init__(
        self,
        ssh: Ssh,
        record: Record,
        words: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        wheel: tuple[str, str] = ("", ""),
    ) -> None:
        self._ssh = ssh
        self._record = record
        self._words = list(words)
        self._environment = dict(environment or {})
        self._wheel = wheel

    def changes(self, wanted: Iterable[Host]) -> Changes:
        """What a new reading of the file asks for. A host that is written in another way is started anew."""
        hosts = {name_of(host): host for host in wanted}
        there = self._record.hosts
        return Changes(
            stop=[host for name, host in there.items() if name not in hosts or not same(hosts[name], host)],
            start=[host for name, host in hosts.items() if name not in there or not same(host, there[name])],
        )

    def up(self, hosts: Iterable[Host], tell: Tell) -> list[Outcome]:
        """Start a node on each; those that failed."""
        return self._each(self._start, hosts, tell)

    def down(self, hosts: Iterable[Host], tell: Tell, *, now: bool) -> list[Outcome]:
        """Stop the nodes there: when their jobs have ended, or now; those that failed."""
        return self._each(lambda host: self._stop(host, now=now), hosts, tell)

    def _each(self, work: Callable[[Host], tuple[Outcome, int]], hosts: Iterable[Host], tell: Tell) -> list[Outcome]:
        failed = []
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lightwork-ssh") as pool:
            try:
                for ended in as_completed([pool.submit(work, host) for host in hosts]):
                    outcome, process = ended.result()
                    self._note(outcome, process)
                    failed += [outcome] if outcome.failed else []
                    tell(outcome)
            except BaseException:
                self._ssh.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return failed

    def _note(self, outcome: Outcome, process: int) -> None:
        if outcome.failed:
            return
        if outcome.wanted == UP:
            self._record.started(outcome.host, process)
        else:
            self._record.stopped(outcome.host)
        self._record.save()

    def _start(self, host: Host) -> tuple[Outcome, int]:
        words = [*options_of(host), *self._words]
        if host.port and "--join" not in self._words:
            words += ["--listen", f"*:{host.port}"]
        script = scripts.start(words, self._environment, host.python, self._wheel)
        done = self._ssh.run(host, script, INSTALL_S if self._wheel[0] else START_S)
        process = scripts.process_of(done.err)
        if done.status == 0 and process:
            text = f"up as process {process}, log {scripts.log_of(done.err)}"
            return Outcome(host, UP, text, trouble=scripts.trouble_of(done.err)), process
        if process := scripts.running_process(done.err):
            return Outcome(host, UP, f"was up already as process {process}"), process
        return _failure(host, UP, done), 0

    def _stop(self, host: Host, *, now: bool) -> tuple[Outcome, int]:
        done = self._ssh.run(
            host, scripts.stop(name_of(host), now=now, python=host.python), STOP_NOW_S if now else STOP_S
        )
        if done.status == 0:
            return Outcome(host, DOWN, "down"), 0
        return _failure(host, DOWN, done), 0


def same(one: Host, other: Host) -> bool:
    """Whether they differ in nothing but the place in their file."""
    return _without_line(one) == _without_line(other)


def _without_line(host: Host) -> tuple[object, ...]:
    return tuple(getattr(host, name) for name in host.__struct_fields__ if name != "line")


def options_of(host: Host) -> list[str]:
    """The options of its `lightwork node`."""
    words = ["--name", name_of(host)]
    if host.slots is not None:
        words += ["--slots", str(host.slots)]
    if host.weight:
        words += ["--weight", str(host.weight)]
    words += [word for group in host.groups for word in ("--group", group)]
    words += [word for name, value in host.labels.items() for word in ("--label", f"{name}={value}")]
    return words + [word for name, amount in host.resources.items() for word in ("--resource", f"{name}={amount}")]


def _failure(host: Host, wanted: str, done: Done) -> Outcome:
    if done.why:
        return Outcome(host, wanted, done.why, failed=True, hint=done.hint)
    if done.status == scripts.NOT_THAT_PYTHON:
        hint = "it is what the file says (python =); or leave it out"
        return Outcome(host, wanted, f"there is no interpreter {host.python}", failed=True, hint=hint)
    if done.status == scripts.NO_PYTHON:
        text, hint = "there is no Python 3.11 or later", 'name one: python = "/path/to/python3.11"'
        return Outcome(host, wanted, text, failed=True, hint=hint)
    if done.status == scripts.NO_LIGHTWORK:
        hint = "`lightwork up --install` puts it there; or name the interpreter that has it: python ="
        return Outcome(host, wanted, "Lightwork is not installed there", failed=True, hint=hint)
    said = [line for line in (done.err + done.out).splitlines() if line.strip()]
    error = next((line.removeprefix("error: ") for line in said if line.startswith("error: ")), "")
    hint = next((line.strip().removeprefix("hint: ") for line in said if line.strip().startswith("hint: ")), "")
    text = error or "; ".join(said[-_LINES:]) or f"it ended with status {done.status} and without a word"
    return Outcome(host, wanted, text, failed=True, hint=hint or f"`ssh {who(host)}` and try `lightwork node` by hand")
