"""`lightwork run` on other nodes: real ones, on the loopback address."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwork.security.secret import generate
from tests.cli.helpers import lightwork, script, start, wait_for
from tests.support.nodes import Start, nodes

WHERE = "import os, sys\nprint(os.environ.get('WHERE'), sys.argv[1], open('beside').read())\n"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Shared by all that a test starts; no other one is found."""
    made = generate()
    monkeypatch.setenv("LIGHTWORK_SECRET", made)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return made


@pytest.fixture
def start_node(secret: str, tmp_path: Path) -> Iterator[Start]:
    with nodes(tmp_path) as start_node:
        yield start_node


def test_a_program_runs_there_with_its_files(start_node: Start, tmp_path: Path) -> None:
    one, two = start_node("one"), start_node("two")
    script(tmp_path / "program", WHERE)
    (tmp_path / "beside").write_text("of ours")
    given = ["-n", f"{one.address},{two.address}", "-f", "beside", "--env", "WHERE=there"]
    given += [word for n in range(20) for word in ("-a", str(n))]
    result = lightwork("run", *given, "./program", cwd=tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.decode().splitlines() == [f"there {n} of ours" for n in range(20)]


def test_a_secret_from_a_file(start_node: Start, secret: str, tmp_path: Path) -> None:
    node = start_node("one")
    file = tmp_path / "secret-file"
    file.write_text(secret)
    file.chmod(0o600)
    result = lightwork(
        "run", "-n", node.address, "--secret-file", file, "-a", "1", "echo", cwd=tmp_path, LIGHTWORK_SECRET=""
    )
    assert (result.returncode, result.stdout) == (0, b"1\n"), result.stderr.decode()


def test_a_failure_names_the_node(start_node: Start, tmp_path: Path) -> None:
    node = start_node("one")
    result = lightwork("run", "-n", node.address, "-a", "1", "false", cwd=tmp_path)
    assert result.returncode == 1
    assert f"failed on {node.name}" in result.stderr.decode()


def test_no_node_is_told_and_one_that_comes_is_used(secret: str, tmp_path: Path) -> None:
    with nodes(tmp_path) as start_node:
        node = start_node("one")
        port = node.address.rpartition(":")[2]
        node.end()
        with open(tmp_path / "talk", "wb") as talk:
            command = start("run", "-n", f"127.0.0.1:{port}", "-a", "1", "echo", cwd=tmp_path, stderr=talk)
        try:
            said = wait_for(lambda: re.search("no node.*", (tmp_path / "talk").read_text()), 15)
            assert said
            assert f"127.0.0.1:{port}" in (tmp_path / "talk").read_text()
            start_node("again", port=int(port))
            assert command.stdout.read() == b"1\n"
            assert command.wait(30) == 0
        finally:
            command.kill()
            command.wait()


def test_ctrl_c_while_no_node_is_there(secret: str, tmp_path: Path) -> None:
    with open(tmp_path / "talk", "wb") as talk:
        command = start("run", "-n", "127.0.0.1:1", "-a", "1", "echo", cwd=tmp_path, stderr=talk)
    try:
        wait_for(lambda: "no node" in (tmp_path / "talk").read_text(), 15)
        command.send_signal(signal.SIGINT)
        assert command.wait(15) == 130
    finally:
        command.kill()
        command.wait()
