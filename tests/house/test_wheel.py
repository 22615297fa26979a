"""The wheel is pure Python, typed, and runs the README's lines in a fresh environment outside the clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.helpers import ROOT, interpreter

pytestmark = pytest.mark.slow

VERSIONS = ["3.11", "3.12", "3.13"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_is_pure_python_and_typed(wheel: Path):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
        points = archive.read(next(name for name in names if name.endswith(".dist-info/entry_points.txt"))).decode()
    assert "lightwork/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "lightwork = lightwork.__main__:main" in points
    assert "License-Expression: Apache-2.0" in metadata
    wanted = set(re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE))
    assert wanted == {"click", "cloudpickle", "cryptography", "msgspec", "platformdirs", "psutil", "rich"}


def test_holds_every_file_of_the_package(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("lightwork/")}
    source = ROOT / "src"
    there = {path.relative_to(source).as_posix() for path in (source / "lightwork").rglob("*") if path.is_file()}
    assert packed == {name for name in there if "__pycache__" not in name}


def readme_program() -> str | None:
    """The README's first Python block."""
    block = re.search(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return block.group(1) if block else None


@pytest.mark.parametrize("version", VERSIONS)
def test_runs_the_readme(version: str, wheel: Path, tmp_path: Path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    program = readme_program()
    if program is None:
        pytest.skip("README.md has no Python block yet")
    environment = fresh_environment(python, tmp_path)
    pip = [environment, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), str(wheel)]
    run(pip, tmp_path, timeout_s=300)
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    run([environment, "program.py"], tmp_path, timeout_s=60)
    told = run([str(Path(environment).parent / "lightwork"), "--version"], tmp_path, timeout_s=60)
    assert "0." in told


def fresh_environment(python: str, folder: Path) -> str:
    run([python, "-m", "venv", str(folder / "env")], folder, timeout_s=120)
    return str(folder / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python")


def run(command: list[str], folder: Path, timeout_s: int) -> str:
    """Outside the clone, with a fresh HOME, and nothing of the test's own environment's Python."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "XDG_"))
    }
    home = folder / "home"
    home.mkdir(exist_ok=True)
    clean["HOME"] = str(home)
    ended = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=timeout_s
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
