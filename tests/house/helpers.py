"""Where the clone is, what is in it, and which other interpreters this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "lightwork"

# Spoken or run by workers under any Python from 3.8: the lint settings in pyproject.toml list the same files.
OLD_PYTHON = [
    "__init__.py",
    "wire/__init__.py",
    "wire/channel.py",
    "wire/outcome.py",
    "wire/segments.py",
    "wire/shared_file.py",
]


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def old_python_sources() -> list[Path]:
    return [SOURCE / name for name in OLD_PYTHON] + sorted((SOURCE / "worker").rglob("*.py"))


def tracked_files() -> list[Path]:
    """Files that a clone would have; without git (an sdist), everything that looks like ours."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if shutil.which("git"):
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        if listed.returncode == 0:
            paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
            return [path for path in paths if path.is_file()]
    return [
        path for folder in ("src", "tests", "docs", "tools") for path in (ROOT / folder).rglob("*") if path.is_file()
    ]


def interpreter(version: str) -> str | None:
    """The path of a Python `version` ("3.12") that runs, or None: from PATH, or a neighbour of the one in use."""
    folders = [Path(sys.base_prefix).parent, Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    neighbours = [path for folder in folders for path in sorted(folder.glob(f"{version}*/bin/python"), reverse=True)]
    mine = [sys.executable] if version == f"{sys.version_info[0]}.{sys.version_info[1]}" else []
    for candidate in [*mine, shutil.which(f"python{version}"), *map(str, neighbours)]:
        if candidate and _speaks(candidate, version):
            return candidate
    return None


def _speaks(path: str, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return asked.returncode == 0 and asked.stdout.strip() == version
