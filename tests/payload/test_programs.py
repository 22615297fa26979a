"""Programs and modules: what is found, what is sent, and what is refused with a hint."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lightwork.model.errors import UserError
from lightwork.payload.computation import PackedComputation, pack_computation
from lightwork.payload.programs import program_arguments
from lightwork.wire.outcome import decode_fields
from tests.payload import elsewhere


def run_program(packed: PackedComputation, directory: Path, *args: str) -> str:
    """As a node does."""
    elsewhere.place_files(directory, packed.wire.files, packed.blobs)
    replaced = [
        word.replace("{python}", sys.executable).replace("{directory}", str(directory)) for word in packed.wire.argv
    ]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{directory}/.lightwork/modules:{directory}"}
    done = subprocess.run(
        [*replaced, *args], cwd=directory, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_from_path():
    packed = pack_computation("sort")
    assert (packed.wire.kind, packed.wire.name, packed.wire.files) == ("program", "sort", ())
    assert packed.wire.argv[0].startswith("/")
    assert packed.wire.argv[0].endswith("/sort")


def test_a_script_of_the_users_is_sent(tmp_path: Path):
    path = script(tmp_path / "greet.sh", "#!/bin/sh\necho hello $1\n")
    packed = pack_computation(str(path))
    assert packed.wire.argv == ("{directory}/greet.sh",)
    assert run_program(packed, tmp_path / "node", "you") == "hello you\n"


def test_a_relative_path_keeps_its_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "greet.sh", "#!/bin/sh\necho hello\n", 0o711)
    monkeypatch.chdir(tmp_path)
    packed = pack_computation("bin/greet.sh")
    assert packed.wire.argv == ("{directory}/bin/greet.sh",)
    assert packed.wire.files[0].mode == 0o711


def test_a_python_file_needs_no_x_bit_and_brings_its_neighbours(tmp_path: Path):
    script(tmp_path / "neighbour.py", "import further\nNAME = further.NAME\n", 0o644)
    script(tmp_path / "further.py", "NAME = 'neighbour'\n", 0o644)
    path = script(tmp_path / "program.py", "import sys, neighbour\nprint(neighbour.NAME, *sys.argv[1:])\n", 0o644)
    packed = pack_computation(path)
    assert packed.wire.argv == ("{python}", "{directory}/program.py")
    assert run_program(packed, tmp_path / "node", "a b") == "neighbour a b\n"


def test_a_python_file_with_x_bit_runs_by_itself(tmp_path: Path):
    path = script(tmp_path / "program.py", f"#!{sys.executable}\nprint('by itself')\n")
    packed = pack_computation(path)
    assert packed.wire.argv == ("{directory}/program.py",)
    assert run_program(packed, tmp_path / "node") == "by itself\n"


def test_program_with_files(tmp_path: Path):
    path = script(tmp_path / "show.sh", "#!/bin/sh\ncat data.txt\n")
    (tmp_path / "data.txt").write_text("beside it")
    packed = pack_computation(str(path), depends=[tmp_path / "data.txt"])
    assert run_program(packed, tmp_path / "node") == "beside it"


def test_module_of_the_standard_library(tmp_path: Path):
    packed = pack_computation(importlib.import_module("json.tool"))
    assert (packed.wire.kind, packed.wire.argv, packed.wire.files) == ("module", ("{python}", "-m", "json.tool"), ())


def test_local_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script(
        tmp_path / "own_tool.py", "import own_part, sys\nif __name__ == '__main__': print(own_part.N, sys.argv[1:])\n"
    )
    script(tmp_path / "own_part.py", "N = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        packed = pack_computation(importlib.import_module("own_tool"))
    finally:
        del sys.modules["own_tool"], sys.modules["own_part"]
    assert packed.wire.argv == ("{python}", "-m", "own_tool")
    assert run_program(packed, tmp_path / "node", "x") == "5 ['x']\n"


def test_local_package_needs_a_main():
    with pytest.raises(UserError, match=r"it has no __main__\.py"):
        pack_computation(importlib.import_module("tests.payload.local_code"))


@pytest.mark.parametrize(
    ("program", "sentence", "hint"),
    [
        ("srot", "there is no program 'srot' here or in PATH.", "did you mean "),
        ("./gret.sh", "there is no program './gret.sh' in ", "did you mean greet.sh?"),
        ("notes.txt", "'notes.txt' is not executable.", "chmod +x notes.txt"),
        ("folder", "'folder' is a directory, not a program.", ""),
    ],
)
def test_what_is_refused(program: str, sentence: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    script(tmp_path / "greet.sh", "#!/bin/sh\n")
    script(tmp_path / "notes.txt", "text", 0o644)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError) as caught:
        pack_computation(program)
    assert sentence in str(caught.value)
    assert hint in str(caught.value)


def test_functions_do_not_go_with_programs():
    with pytest.raises(UserError, match="setup is for functions"):
        pack_computation("sort", setup=len)
    with pytest.raises(UserError, match="'script' in depends is for functions"):
        pack_computation("sort", depends=[script])


def test_arguments_become_strings():
    given = ("a b", b"\xff", Path("x/y"), 3, 2.5, True, np.int64(7), "\udcff", "")
    fields = decode_fields(program_arguments(given))
    assert list(fields) == [str(at) for at in range(len(given))]
    assert list(fields.values()) == [b"a b", b"\xff", b"x/y", b"3", b"2.5", b"True", b"7", b"\xff", b""]


def test_arguments_refused():
    with pytest.raises(UserError, match=r"argument 2 of the program is a list; only text, paths and numbers"):
        program_arguments(("a", ["b"]))
    with pytest.raises(UserError, match="argument 1 of the program contains a NUL"):
        program_arguments(("a\0b",))
    with pytest.raises(UserError, match="no keyword arguments"):
        program_arguments((), {"n": 1})
