"""docs/tutorial.md, step by step, in empty namespaces: what it prints must be what the page says.

How the page is read (fenced blocks, in order):

    ```python             a file of ada's, if its first line is a comment with a name:  # where.py
    ```console            a line `bob$ COMMAND` is typed at bob's terminal; below it is what that prints. `^C` is a key.
    ```console bob        the same for the program that runs in front at bob's: what it has said since we looked last
    ```sh                 not run: installing (the tests' own interpreter stands for it), firewalls, systemd
    <!-- lab: ... -->     what the reader's network does, and ours must be told:  cyd firewall | cyd open
                          bob busy: the reader sees that a job runs there, and we wait until one does

A line `...` stands for any lines. Numbers, times and secrets vary and are not compared; addresses and our ports are.
`kill` is given the process that was told last; with many cores there are more jobs. Everybody is root here: the warning
about that is left out.

`LIGHTWORK_TEST_WRITE=1 pytest tests/e2e_net/test_tutorial.py` writes into the page what was really printed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import SHORT, Farm
from tests.e2e_net.terminal import Terminal
from tests.support.lab import Host, Lab
from tests.support.lab_host import processes_in

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
HOSTS = ("ada", "bob", "cyd")
LIMIT_S = 30.0
QUIET_S = 8.0  # when the page is written: so long nothing is printed, and we take it for all
WRITE = os.environ.get("LIGHTWORK_TEST_WRITE") == "1"
ROOT_LINES = ("warning: jobs of this node run as root", "hint: --job-user NAME lets them run as another user")
ANY = "..."
CTRL_C = "\x03"
_PROMPT = re.compile(rf"({'|'.join(HOSTS)})\$ (.*)")
_LAB = re.compile(r"<!-- lab: (\w+) (\w+) -->")
_ADDRESS = r"(?:\d+\.){3}\d+|\b970[0-9]\b"
_SHAPES = (
    (r"lw-[0-9a-z]{5}(?:-[0-9a-z]{5}){5}", "SECRET"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"[─━═]+", "-"),
    (r"[ \t]+", " "),
)


@dataclass
class Step:
    """One command, key or look, what the page says that it prints, and where in the page that stands."""

    line: int
    host: str
    keys: str | None
    expected: list[str] = field(default_factory=list)
    stays: bool = False  # what was started is still in front when the page goes on


@dataclass
class Scene:
    """A file to be written, or a change of the network."""

    line: int
    kind: str
    name: str
    text: str = ""


def steps_of(page: str) -> Iterator[Step | Scene]:
    """The page, in order."""
    found = list(_read(page))
    last: dict[str, Step] = {}
    for step in found:
        if isinstance(step, Step):
            if step.host in last and step.keys in (None, CTRL_C):
                last[step.host].stays = True
            last[step.host] = step
    yield from found


def _read(page: str) -> Iterator[Step | Scene]:
    kind: str | None = None
    body: list[str] = []
    start = 0
    for number, line in enumerate(page.splitlines(), 1):
        if kind is None:
            if found := _LAB.fullmatch(line):
                yield Scene(number, found[2], found[1])
            if line.startswith("```"):
                kind, body, start = line[3:].strip(), [], number
        elif line == "```":
            yield from _block(kind, body, start)
            kind = None
        else:
            body.append(line)


def _block(kind: str, body: list[str], start: int) -> Iterator[Step | Scene]:
    language, _, host = kind.partition(" ")
    if language == "python" and re.fullmatch(r"# \w+\.py", body[0]):
        yield Scene(start, "file", body[0][2:], "\n".join(body) + "\n")
    if language != "console":
        return
    step = Step(start, host, None) if host else None
    for number, line in enumerate(body, start + 1):
        if prompt := _PROMPT.fullmatch(line):
            if step is not None:
                yield step
            step = Step(number, prompt[1], prompt[2] + "\n")
        elif line == "^C":
            assert step is not None
            if step.keys is not None or step.expected:
                yield step
            step = Step(number, step.host, CTRL_C)
        else:
            assert step is not None, f"line {number}: whose terminal is this?"
            step.expected.append(line)
    assert step is not None
    yield step


def shape(line: str) -> str:
    """A line without what varies."""
    for pattern, shown in _SHAPES:
        line = re.sub(pattern, shown, line)
    return re.sub(rf"({_ADDRESS})|[\d][\d,.]*", lambda found: found[1] or "N", line).strip()


def fits(expected: list[str], got: list[str]) -> bool:
    """Whether the lines are what the page says."""
    if not expected:
        return not got
    if expected[0] == ANY:
        return any(fits(expected[1:], got[at:]) for at in range(len(got) + 1))
    return bool(got) and shape(expected[0]) == shape(got[0]) and fits(expected[1:], got[1:])


class Tour:
    """The three machines, and who sits there."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.windows = {name: Terminal(lab[name]) for name in HOSTS}
        self.secret = self.process = ""  # the last that were told
        self.written: dict[int, list[str]] = {}  # line of the page -> what was really printed below it

    def play(self, scene: Scene) -> None:
        """Write a file, or change the network."""
        host = self.lab[scene.name if scene.kind != "file" else "ada"]
        if scene.kind == "file":
            (host.work / scene.name).write_text(scene.text)
        elif scene.kind == "firewall":
            host.deny('iifname != "lo" ct state new meta l4proto { tcp, udp }', outgoing=False)
        elif scene.kind == "open":
            host.allow()
        else:
            assert scene.kind == "busy", scene
            wait_until(lambda: "sleep" in names_in(host), f"a job runs on {scene.name}", LIMIT_S)

    def do(self, step: Step) -> None:
        """Type what the page says, and compare."""
        window = self.windows[step.host]
        if step.keys is not None:
            self._type(step, window)

        def done(text: str, ended: bool) -> bool:
            return ended or (step.stays and bool(step.expected) and fits(step.expected, self._lines(step)))

        window.read_until(done, LIMIT_S, QUIET_S if WRITE else 0.0)
        got = self._lines(step)
        self.secret = _last(_SHAPES[0][0], window.text) or self.secret
        self.process = _last(r"(?<=as process )\d+", window.text) or self.process
        window.forget()
        if fits(step.expected, got):
            return
        self.written[step.line] = got
        said, page = "\n".join(got), "\n".join(step.expected)
        assert WRITE, f"{PAGE.name}, line {step.line}, at {step.host}'s\n--- the page:\n{page}\n--- printed:\n{said}"

    def _type(self, step: Step, window: Terminal) -> None:
        keys = step.keys or ""
        if keys != CTRL_C:
            assert window.read_until(lambda text, ended: ended, LIMIT_S), f"line {step.line}: not ended: {window.text}"
        keys = re.sub(r"^kill \d+", f"kill {self.process}", keys)
        window.type(keys.replace("hello.py 40", f"hello.py {20 * max(2, os.cpu_count() or 1)}"))
        if "--read" in keys:
            asked = window.read_until(lambda text, ended: text.startswith("secret"), LIMIT_S)
            assert asked, window.text
            window.answer(self.secret + "\n")

    def _lines(self, step: Step) -> list[str]:
        text = self.windows[step.host].text.replace(str(self.lab[step.host].home), f"/home/{step.host}")
        text = text.replace(sys.executable, f"/home/{step.host}/lightwork-env/bin/python")
        return [line for line in text.splitlines() if not line.startswith(ROOT_LINES)]

    def close(self) -> None:
        for window in self.windows.values():
            window.close()


def names_in(host: Host) -> list[str]:
    """Of the programs that run there."""
    found = []
    for pid in processes_in(host.namespace):
        try:
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:  # it ended while we looked
            continue
    return found


def _last(pattern: str, text: str) -> str:
    return next(iter(re.findall(pattern, text)[-1:]), "")


@pytest.mark.slow
def test_the_tutorial() -> None:
    page = PAGE.read_text(encoding="utf-8")
    steps = list(steps_of(page))
    assert sum(isinstance(step, Step) for step in steps) > 30
    with Lab("192.168.3.0/24", hosts=HOSTS) as lab:
        tour = Tour(lab)
        try:
            for step in steps:
                if isinstance(step, Step):
                    tour.do(step)
                else:
                    tour.play(step)
        finally:
            if WRITE:
                PAGE.write_text(rewritten(page, tour.written), encoding="utf-8")
            tour.close()


def rewritten(page: str, printed: dict[int, list[str]]) -> str:
    """The page, with what was really printed below each command that was run."""
    found: list[str] = []
    skipping = False
    for number, line in enumerate(page.splitlines(), 1):
        inside_end = line == "```" or _PROMPT.fullmatch(line) or line == "^C"
        if number in printed:
            found += [line, *printed[number]]
            skipping = True
        elif not skipping or inside_end:
            found.append(line)
            skipping = False
    return "\n".join(found) + "\n"


def test_what_varies_is_not_compared() -> None:
    assert fits(["at 192.168.3.12:9701, 8 slots"], ["at 192.168.3.12:9701, 2 slots"])
    assert not fits(["at 192.168.3.12:9701"], ["at 192.168.3.13:9701"])
    assert fits(["a", "...", "z"], ["a", "b", "z"])
    assert not fits(["a", "z"], ["a", "b", "z"])


@pytest.mark.slow
def test_nobody_there_is_said_while_this_machine_works() -> None:
    """Section 9 says so."""
    code = "jobs = lightwork.JobCluster('/bin/sleep')\njobs.submit('20')\ntime.sleep(20)\n"
    with Farm("ada", timers=SHORT) as farm:
        client = farm.client("ada", code)
        client.program.wait_for("this network: nobody has answered")
        client.program.wait_for("hint: start `lightwork node` there with the same secret")
