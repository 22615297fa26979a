"""Plays a transcript against the agent's core.

    # comment    @ 2.5   sets the clock (seconds)    & slots=4 seats=9 gpus=2 pythons=3.11,3.8 portable   makes the core
    > Event a=1 b=2         is fed to the core              < Command ...   is what it must answer, in this order
    < ...                   whatever else it says

Tokens are small numbers; 1..5 is a column; a payload has one byte for each attempt. Words are `worker:token:age_ms`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightwork.kit.notation import render
from lightwork.node.core import commands as do, events as on
from lightwork.node.core.check import check
from lightwork.node.core.core import Core
from lightwork.wire.messages import Computation, File, JobOptions, Load
from lightwork.wire.outcome import Stream

NUMBERS = {"slots": 2, "seats": 512, "gpus": 0}


class Playbook:
    """One run of one transcript."""

    def __init__(self) -> None:
        self.core = Core(2)
        self.now = 0
        self.said: list[str] = []
        self.place = ""

    def play(self, path: Path) -> None:
        for number, raw in enumerate(path.read_text().splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            mark, rest = line[0], line[1:].strip()
            if mark == "<":
                self._expect(rest, f"{path.name}:{number}")
                continue
            assert not self.said, f"{self.place}: it also said\n  " + "\n  ".join(self.said)
            self.place = f"{path.name}:{number}"
            if mark == "@":
                self.now = int(float(rest) * 1e9)
            elif mark == "&":
                words = dict(word.partition("=")[::2] for word in rest.split())
                slots, seats, gpus = (int(words.get(name, usual)) for name, usual in NUMBERS.items())
                self.core = Core(slots, "portable" in words, seats, gpus)
                self.core.offer([version(one) for one in words.get("pythons", "").split(",") if one])
            else:
                self._feed(rest)
        assert not self.said, f"{self.place}: it also said\n  " + "\n  ".join(self.said)

    def _feed(self, text: str) -> None:
        self.said = [shown(command) for command in self.core.handle(event(text, self.now), self.now)]
        wrong = check(self.core)
        assert not wrong, f"{self.place}: {wrong}"

    def _expect(self, text: str, place: str) -> None:
        if text == "...":
            self.said.clear()
            return
        assert self.said, f"{place}: it said nothing more, expected\n  {text}"
        said = self.said.pop(0)
        assert said == text, f"{place}: it said\n  {said}\nexpected\n  {text}"


def shown(command: do.Command) -> str:
    """A command as a line; of messages and outcomes what matters."""
    if isinstance(command, do.Send):
        line = render(command.message)
        epochs = getattr(command.message, "epochs", {})
        if epochs:  # of a heartbeat
            told = " epochs=" + ",".join(f"{session}:{epoch}" for session, epoch in epochs.items())
            line = line.replace(f" epochs={','.join(epochs)}", told if any(epochs.values()) else "")
        return f"Send {line}" + (f" body={len(command.body)}B" if command.body else "")
    if isinstance(command, do.Run):
        tokens = column(command.tokens)
        return f"Run worker={command.worker} slot={command.slot} tokens={tokens} body={len(command.body)}B" + (
            f" gpus={column(list(command.gpus))}" if command.gpus else ""
        )
    return render(command)


def column(numbers: list[int]) -> str:
    """1,2,3,4 as 1..4."""
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return ",".join(map(str, numbers))


def event(text: str, now: int) -> on.Event:
    """An event from its line."""
    name, *words = text.split()
    fields = dict(word.partition("=")[::2] for word in words)
    makers = {"AttemptsAssigned": assigned, "JobsEnded": ended, "ComputationGiven": given, "WorkerDied": died}
    if name in makers:
        return makers[name](fields, now)
    return getattr(on, name)(**{key: value(key, text, now) for key, text in fields.items()})


def value(key: str, text: str, now: int) -> Any:
    if key in ("tokens", "ended"):
        return numbers(text)
    if key == "words":
        return [word(one, now) for one in text.split(",") if one]
    if key == "failure":
        return {"type": text.encode(), "message": b"..."}
    if key == "problems":
        return text.split(",")
    if key == "file":
        return File(text, text, 1)
    if key == "files":
        return [File(one, one, 1) for one in text.split(",")]
    if key == "load":
        return Load()
    if key in ("body", "payload"):
        return b"x" * int(text)
    if text in ("True", "False"):
        return text == "True"
    return int(text) if text.lstrip("-").isdigit() else text


def numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, dots, last = part.partition("..")
        found += range(int(first), int(last) + 1) if dots else [int(first)]
    return found


def word(text: str, now: int) -> on.Word:
    worker, token, age = text.split(":")
    return on.Word(int(worker), int(token), now - int(float(age) * 1e6))


def given(fields: dict[str, str], now: int) -> on.ComputationGiven:
    digest, epoch = fields.pop("computation"), int(fields.pop("epoch", 0))
    texts = {"environment", "isolation", "kind", "untravellable"}
    more: dict[str, Any] = {
        key: text if key in texts else text.encode() for key, text in fields.items() if key != "session"
    }
    more.setdefault("kind", "function")
    if "python" in fields:
        more["python"] = version(fields["python"])
    return on.ComputationGiven(fields.get("session", "s"), Computation(digest=digest, name=digest, **more), epoch)


def version(text: str) -> tuple[int, int]:
    """3.12 as a pair."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def assigned(fields: dict[str, str], now: int) -> on.AttemptsAssigned:
    tokens = numbers(fields["tokens"])
    options: dict[str, Any] = {}
    if "timeout_ms" in fields:
        options["timeout_ns"] = int(fields["timeout_ms"]) * 1_000_000
    resources = tuple((name, int(fields[name])) for name in ("cpus", "gpu") if name in fields)
    if resources:
        options["resources"] = resources
    if "memory" in fields:
        options["memory_bytes"] = int(fields["memory"])
    if "outputs" in fields:
        options["outputs"] = tuple(fields["outputs"].split(","))
    if "files" in fields:
        options["files"] = tuple(File(one, one, 1) for one in fields["files"].split(","))
    apart = {int(token): int(size) for token, _, size in (one.partition(":") for one in _list(fields.get("apart")))}
    lengths = [0 if token in apart else 1 for token in tokens]
    session = fields.get("session", "s")
    body = b"x" * sum(lengths)
    return on.AttemptsAssigned(session, fields["computation"], tokens, lengths, JobOptions(**options), body, apart)


def _list(text: str | None) -> list[str]:
    return text.split(",") if text else []


def ended(fields: dict[str, str], now: int) -> on.JobsEnded:
    """`took_ms` is the duration of each; they ended just now."""
    tokens = numbers(fields["tokens"])
    took = int(float(fields.get("took_ms", "0.01")) * 1e6)
    statuses = numbers(fields["statuses"]) if "statuses" in fields else [0] * len(tokens)
    count = len(tokens)
    columns = [now - took] * count, [took] * count, [1] * count
    return on.JobsEnded(int(fields["worker"]), tokens, *columns, statuses, b"y" * count)


def died(fields: dict[str, str], now: int) -> on.WorkerDied:
    stderr = Stream(fields["stderr"].encode()) if "stderr" in fields else Stream()
    death = on.Death(int(fields.get("exit_code", 0)), int(fields.get("signal", 0)), 0, Stream(), stderr)
    started = int(fields.get("started", 0))
    began = now - int(float(fields.get("age_ms", "1")) * 1e6) if started else 0
    return on.WorkerDied(int(fields["worker"]), started, began, death, fields.get("with_keeper") == "True")
