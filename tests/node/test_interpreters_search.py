"""Finding interpreters: where they lie, what they are asked, what is remembered, and what people are told."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from lightwork.model.errors import UserError
from lightwork.node.service import asking, interpreter_search
from lightwork.node.service.asking import Answer, Memory, ask, understood
from lightwork.node.service.interpreter_search import InterpreterSearch
from lightwork.node.service.interpreters import Interpreter, Interpreters
from lightwork.node.service.looking_around import candidates, listed
from lightwork.node.service.processes import helpers
from tests.e2e.helpers import wait_until
from tests.node.scheduler_double import alive

OWN = sys.version_info[:2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stands in for interpreters with shell scripts")


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def stand_in(path: Path, version: tuple[int, int], made: str = "cpython", more: str = "") -> Path:
    """A script that answers as an interpreter of this version would."""
    return script(path, f"echo lightwork {made} {version[0]} {version[1]} {path}\n{more}")


# --- where ---


def test_versioned_names_are_found_where_they_usually_lie(tmp_path):
    home = tmp_path / "home"
    shims, plain = tmp_path / "shims", tmp_path / "plain"
    for path in (shims / "python3.9", shims / "python3.10"):
        script(path, "exit 1")
    for path in (
        plain / "python3.9",
        home / ".pyenv/versions/3.9.2/bin/python3.9",
        home / ".pyenv/versions/3.9.18/bin/python3.9",
        home / ".local/share/uv/python/cpython-3.12.4-linux/bin/python3.12",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x7fELF")
        path.chmod(0o755)
    for name in ("python3", "python3.7", "python3.99", "python3.9-config", "python3.11", "pypy3.10"):
        (plain / name).write_bytes(b"\x7fELF")
    (plain / "python3.13").symlink_to("nowhere")
    path = os.pathsep.join([str(shims), "", "relative", str(tmp_path / "absent"), str(plain)])
    found = candidates({"PATH": path}, home)
    mine = {minor: [one for one in paths if one.startswith(str(tmp_path))] for minor, paths in found.items()}
    versions = home / ".pyenv/versions"
    assert {minor: paths for minor, paths in mine.items() if paths} == {
        9: [
            str(plain / "python3.9"),
            str(versions / "3.9.18/bin/python3.9"),
            str(versions / "3.9.2/bin/python3.9"),
            str(shims / "python3.9"),
        ],
        10: [str(shims / "python3.10")],
        12: [str(home / ".local/share/uv/python/cpython-3.12.4-linux/bin/python3.12")],
    }


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_what_others_have_put_there_is_left_alone(tmp_path):
    theirs = script(tmp_path / "python3.9", "touch ran")
    os.chown(theirs, 4711, 4711)
    assert str(theirs) not in candidates({"PATH": str(tmp_path)}, tmp_path).get(9, [])


def test_the_launchers_lists_are_understood():
    new = (
        " -V:3.12 *        C:\\Users\\a b\\AppData\\Local\\Programs\\Python\\Python312\\python.exe\r\n"
        " -V:3.11-32       C:\\Python311-32\\python.exe\r\n"
        " -V:3.7           C:\\Python37\\python.exe\r\n"
        " -V:Astral/CPython3.13.1 C:\\uv\\python.exe\r\n"
    )
    assert listed(new) == {
        12: ["C:\\Users\\a b\\AppData\\Local\\Programs\\Python\\Python312\\python.exe"],
        11: ["C:\\Python311-32\\python.exe"],
        13: ["C:\\uv\\python.exe"],
    }
    old = " -3.9-64\tC:\\Python39\\python.exe *\n -3.8-32\tC:\\Python38\\python.exe\n -2.7-64\tC:\\py27\\python.exe\n"
    assert listed(old) == {9: ["C:\\Python39\\python.exe"], 8: ["C:\\Python38\\python.exe"]}
    assert listed("No installed Pythons found!\n") == {}


# --- asking ---


def test_ours_answers():
    assert asyncio.run(ask(sys.executable)) == Answer(OWN, sys.executable)


@pytest.mark.parametrize(
    ("line", "said", "code", "reason", "lasting"),
    [
        ("lightwork cpython 3 6 /x", "exit code 0", 0, "is Python 3.6; workers need 3.8 or later", True),
        ("lightwork python 2 7 /x", "exit code 0", 0, "is python 2.7; workers need CPython", True),
        ("lightwork pypy 3 10 /x", "exit code 0", 0, "is pypy 3.10; workers need CPython", True),
        (
            "lightwork cpython 3 9 /x",
            "ModuleNotFoundError: No module named '_ctypes'",
            1,
            "lacks a part of its standard library: ModuleNotFoundError: No module named '_ctypes'",
            True,
        ),
        ("", "pyenv: no version chosen", 127, "is no Python that runs: pyenv: no version chosen", True),
        ("", "exit code -9", -9, "is no Python that runs: exit code -9", False),
    ],
)
def test_answers_that_will_not_do(line, said, code, reason, lasting):
    assert understood(line, said, code) == Answer(reason=reason, lasting=lasting)


def test_what_is_no_interpreter(tmp_path, monkeypatch):
    pid = tmp_path / "pid"
    cases = {
        str(tmp_path / "absent"): "cannot be executed: No such file or directory",
        str(tmp_path): "cannot be executed: Permission denied",
        str(script(tmp_path / "chatter", "yes lightwork")): "is no Python: it talks without end",
        str(script(tmp_path / "endless", "tr '\\0' x < /dev/zero")): "is no Python: it talks without end",
        str(script(tmp_path / "hangs", f"sleep 60 & echo $! > {pid}; wait")): "gave no answer within 2 s",
    }
    for path, reason in cases.items():
        monkeypatch.setattr(asking, "ASK_S", 2.0 if path.endswith("hangs") else 20.0)
        answer = asyncio.run(ask(path))
        assert answer.version == (0, 0)
        assert answer.reason.startswith(reason), (path, answer)
    wait_until(lambda: not alive(int(pid.read_text())), "it was ended")


# --- memory ---


def test_a_second_start_asks_nobody(tmp_path, monkeypatch):
    asked = []

    async def noted(path):
        asked.append(path)
        return await ask(path)

    monkeypatch.setattr(asking, "ask", noted)
    first, second = script(tmp_path / "a/python3.9", "exit 1"), stand_in(tmp_path / "b/python3.9", (3, 9))
    monkeypatch.setattr(interpreter_search, "candidates", lambda environment, home: {9: [str(first), str(second)]})

    async def start(memory=tmp_path / "memory"):
        found = Interpreters()
        await InterpreterSearch(found, memory).look_around(20.0)
        return found.known[1:]

    expected = [Interpreter(str(second), (3, 9))]
    assert asyncio.run(start()) == expected
    assert asked == [str(first), str(second)]
    assert asyncio.run(start()) == expected
    assert asked == [str(first), str(second)]
    stand_in(first, (3, 9), more="# changed")
    assert asyncio.run(start()) == [Interpreter(str(first), (3, 9))]
    assert asked[2:] == [str(first)]
    first.unlink()
    second.unlink()
    assert asyncio.run(start()) == []
    (tmp_path / "memory").write_bytes(b'{"/x": ["half')
    stand_in(second, (3, 9))
    assert asyncio.run(start()) == expected


def test_what_may_change_is_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "ASK_S", 0.2)
    slow = script(tmp_path / "python3.9", "sleep 5")

    async def story():
        memory = Memory(tmp_path / "memory")
        assert not (await memory.ask(str(slow))).lasting
        memory.save()
        assert not (tmp_path / "memory").exists()
        assert (await memory.ask(str(tmp_path / "absent"))).version == (0, 0)
        memory.save()
        assert not (tmp_path / "memory").exists()

    asyncio.run(story())


# --- all of a node ---


def test_a_name_that_lies_is_not_believed(tmp_path, monkeypatch):
    liar = stand_in(tmp_path / "python3.9", (3, 10))
    monkeypatch.setattr(interpreter_search, "candidates", lambda environment, home: {9: [str(liar)]})

    async def story():
        found = Interpreters()
        await InterpreterSearch(found).look_around(20.0)
        assert found.versions() == [OWN]

    asyncio.run(story())


def test_a_start_does_not_wait_for_what_is_slow(tmp_path, monkeypatch):
    go = tmp_path / "go"
    fast = stand_in(tmp_path / "fast/python3.9", (3, 9))
    slow = script(
        tmp_path / "slow/python3.10",
        f"while [ ! -e {go} ]; do sleep 0.02; done; echo lightwork cpython 3 10 {tmp_path}/slow/python3.10",
    )
    monkeypatch.setattr(interpreter_search, "candidates", lambda environment, home: {9: [str(fast)], 10: [str(slow)]})

    async def story():
        found = Interpreters()
        await InterpreterSearch(found, tmp_path / "memory").look_around(patience_s=3.0)
        early = found.versions()
        go.touch()
        deadline = time.monotonic() + 15
        while (3, 10) not in found.versions():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert found.versions()[: len(early)] == early == [OWN, (3, 9)], "numbers stay"
        again = Interpreters()
        await InterpreterSearch(again, tmp_path / "memory").look_around(20.0)
        assert again.versions() == [OWN, (3, 10), (3, 9)], "newest first"

    asyncio.run(story())


def test_a_search_that_is_stopped_leaves_no_process(tmp_path, monkeypatch):
    pid = tmp_path / "pid"
    slow = script(tmp_path / "python3.9", f"echo $$ > {pid}; exec sleep 60")
    monkeypatch.setattr(interpreter_search, "candidates", lambda environment, home: {9: [str(slow)]})

    async def story():
        search = InterpreterSearch(Interpreters())
        await search.look_around(patience_s=0.0)
        deadline = time.monotonic() + 15
        while not (pid.exists() and pid.read_text().strip()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await search.stop()
        wait_until(lambda: not alive(int(pid.read_text())), "it was ended")

    asyncio.run(story())


def test_named_ones_come_before_found_ones(tmp_path, monkeypatch):
    named, found_one = stand_in(tmp_path / "n/python", (3, 9)), stand_in(tmp_path / "f/python3.9", (3, 9))
    other = stand_in(tmp_path / "f/python3.10", (3, 10))
    monkeypatch.setattr(
        interpreter_search,
        "candidates",
        lambda environment, home: {9: [str(found_one)], 10: [str(other)], OWN[1]: ["/x"]},
    )

    async def story():
        offered = Interpreters()
        search = InterpreterSearch(offered)
        assert await search.name([str(named)]) == []
        await search.look_around(20.0)
        assert offered.known[1:] == [Interpreter(str(named), (3, 9)), Interpreter(str(other), (3, 10))]

    asyncio.run(story())


def test_a_named_one_that_serves_nothing_is_told(tmp_path):
    same = stand_in(tmp_path / "python", OWN)

    async def story():
        offered = Interpreters()
        [remark] = await InterpreterSearch(offered).name([str(same)])
        version = "%d.%d" % OWN
        assert remark == f"--python {same} is not used: jobs of Python {version} run under {sys.executable}"
        assert offered.versions() == [OWN]

    asyncio.run(story())


def test_a_named_one_that_does_not_work_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "venv").mkdir()
    script(tmp_path / "old", "echo lightwork cpython 3 7 /x")
    cases = {
        "absent": f"--python {tmp_path}/absent cannot be executed: No such file or directory.",
        "./old": f"--python {tmp_path}/old is Python 3.7; workers need 3.8 or later.",
        "venv": "--python venv is a directory.\nhint: did you mean venv/bin/python?",
    }
    for given, sentence in cases.items():
        with pytest.raises(UserError) as told:
            asyncio.run(InterpreterSearch(Interpreters()).name([sys.executable, given]))
        assert str(told.value).startswith(sentence)
        assert told.value.hint


def test_an_interpreter_that_is_asked_is_nobody_s_stray_from_its_birth_on(monkeypatch):
    """Whoever clears away what jobs have left waits while one is being born, and spares it then."""
    told, born = [], []

    def look():
        told.append((helpers.starting, set(helpers)))

    async def story():
        loop = asyncio.get_running_loop()
        start = loop.subprocess_exec

        async def watched(*given, **more):
            process, heard = await start(*given, **more)
            born.append(process.get_pid())
            look()
            loop.call_soon(look)
            return process, heard

        monkeypatch.setattr(loop, "subprocess_exec", watched)
        assert (await ask(sys.executable)).version == OWN
        look()

    asyncio.run(story())
    assert told == [(1, set()), (0, set(born)), (0, set())]
