"""Plays a transcript against a core and compares what it says, line by line.

    # comment          @ 2.5   sets the clock (seconds)
    > Event a=1 b=2    is fed to the core        < Command ...   is what it must answer, in this order
    >                  nothing is fed but the time
    ! restart          the process dies, and begins again with all that it had written down
    ! crash N          the same, but of what it had written down the last N facts never came to the disk
Several `>` lines without answers between them are one batch if they end in ` &`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from lightwork.kit.notation import TOKEN_BITS, render
from lightwork.wire.messages import (
    Computation,
    File,
    Hardware,
    JobOptions,
    Load,
    NodeStatus,
    SetPolicy,
    Tailoring,
    Wanted,
)

SECOND_NS = 1_000_000_000


@dataclass
class Step:
    """Events that are fed together, at a time, and the lines that must follow."""

    line: int
    now_ns: int
    events: list[str]
    expected: list[str] = field(default_factory=list)
    lost: int = -1  # a crash, in place of events: so many facts are lost


def read(path: Path) -> list[Step]:
    """The steps of a transcript file."""
    steps: list[Step] = []
    now_ns, batch = 0, False
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            now_ns = int(float(line[1:]) * SECOND_NS)
        elif line.startswith(">"):
            text = line[1:].strip()
            if not batch:
                steps.append(Step(number, now_ns, []))
            batch = text.endswith("&")
            steps[-1].events.append(text.rstrip("& "))
        elif line.startswith("!"):
            steps.append(Step(number, now_ns, [], lost=int(line.split()[2]) if "crash" in line else 0))
        elif line.startswith("<"):
            steps[-1].expected.append(line[1:].strip())
        else:
            raise ValueError(f"{path.name}:{number}: a line begins with #, @, > or <: {line}")
    return steps


def parse(text: str, module: Any) -> Any:
    """An event of `module` from its notation."""
    name, *words = text.split()
    kind = getattr(module, name)
    hints = get_type_hints(kind)
    fields = {}
    for word in words:
        key, _, value = word.partition("=")
        fields[key] = value_of(value, hints[key])
    return kind(**fields)


def value_of(text: str, hint: Any) -> Any:
    """A field's value by its declared type."""
    special: dict[Any, Callable[[str], Any]] = {
        int: number,
        bool: lambda text: text == "True",
        str: lambda text: text.replace("_", " ") if " " in text else text,
        bytes: lambda text: b"x" * int(text.rstrip("B")),
        list[int]: lambda text: [number(item) for item in text.split(",") if item != "-"],
        list[bytes]: lambda text: [b"x" * int(item.rstrip("B")) for item in text.split(",")],
        list[str]: lambda text: [] if text == "-" else ["" if item == "-" else item for item in text.split(",")],
        dict[str, bytes]: lambda text: dict.fromkeys(text.split(","), b""),
        dict[str, int]: lambda text: {
            key: int(value) for key, _, value in (one.partition(":") for one in text.split(","))
        },
        SetPolicy | None: lambda text: SetPolicy(*map(int, text.split("/"))),
        Computation: computation,
        JobOptions: options,
        Hardware: machine,
        Load: load,
        File: lambda text: File(text, text, 1),
        list[Wanted]: lambda text: [wanted(item) for item in text.split(",")],
        list[tuple[int, int]]: lambda text: [version(item) for item in text.split(",")],
        Tailoring: lambda text: Tailoring(text, b"x", b"", b"", (File(text, text, 1),)),
        list[tuple[int, File]]: lambda text: [(int(text), File("", "d" * 32, 1 << 20))],
        list[tuple[int, list[File]]]: lambda text: [(int(text), [File("a", "a", 1)])],
    }
    return special[hint](text)


def number(text: str) -> int:
    """An integer, or epoch.number."""
    epoch, dot, rest = text.partition(".")
    return int(epoch) << TOKEN_BITS | int(rest) if dot else int(text)


def options(text: str) -> JobOptions:
    """`reentrant:False`, `retries:2` and the like."""
    values = {"True": True, "False": False, "None": None}
    pairs = dict(item.split(":") for item in text.split(","))
    made = {key: int(value) if value.isdecimal() else values.get(value, value) for key, value in pairs.items()}
    return JobOptions(**made)  # type: ignore[arg-type]


def machine(text: str) -> Hardware:
    """So many MiB of memory."""
    return Hardware(memory_bytes=int(text) << 20)


def load(text: str) -> Load:
    """Free MiB of disk and memory, free percent of swap: `100/2000/50`."""
    disk, memory, swap = map(int, text.split("/"))
    return Load(50.0, memory << 20, disk << 20, float(swap))


def wanted(text: str) -> Wanted:
    """`host/port/slots/spec`, from the right left out."""
    host, *rest = text.split("/")
    return Wanted(host, *map(int, rest))


def version(text: str) -> tuple[int, int]:
    """`3.11`."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def computation(text: str) -> Computation:
    """`name`, or `name/3.11/source` or `name/3.11/-why`: packed by that version, with source or without."""
    name, *rest = text.split("/")
    source = rest[1] if len(rest) > 1 else ""
    why = source[1:] if source.startswith("-") else ""
    packed_by = version(rest[0]) if rest else (0, 0)
    return Computation(
        name, "function", name, python=packed_by, source=b"" if why else source.encode(), untravellable=why
    )


def shown(command: Any) -> str:
    """A command's line; a node's status is its name."""
    return render(command)


def play(
    path: Path,
    module: Any,
    feed: Callable[[list[Any], int], list[Any]],
    after: Callable[[], list[str]],
    crash: Callable[[int, int], None] | None = None,
) -> None:
    """Run a transcript; AssertionError names its line. `after` gives what is wrong with the state after each step.

    `crash(lost, now_ns)` is for `!` lines.
    """
    for step in read(path):
        if step.lost >= 0:
            assert crash is not None, f"{path.name}:{step.line}: nothing here survives a crash"
            crash(step.lost, step.now_ns)
        events = [parse(text, module) for text in step.events if text]
        said = [shown(command) for command in feed(events, step.now_ns)]
        where = f"{path.name}:{step.line}: after {step.events}"
        assert said == step.expected, f"{where}\n said: " + "\n       ".join(said or ["nothing"]) + _wanted(step)
        assert after() == [], f"{where}: {after()}"


def _wanted(step: Step) -> str:
    return "\n want: " + "\n       ".join(step.expected or ["nothing"])


__all__ = ["NodeStatus", "Step", "parse", "play", "read"]
