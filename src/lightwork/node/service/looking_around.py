"""Where interpreters lie on machines: their paths by minor version, most likely to work first. Nothing is run for it.

Only names with a version (`python3.9`) are looked for: what `python3` is, its directory's `python3.N` says too, and on
a bare macOS `/usr/bin/python3` opens a window that offers to install it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

MINORS = range(8, 16)  # of Python 3: what workers may run under
LAUNCHER_S = 5.0
_NAME = re.compile(r"python3\.(\d+)(?:\.exe)?")
_LISTED = re.compile(r"\s*-(?:V:)?(?:\S*?\D)?3\.(\d+)\S*\s+(?:\*\s*)?(\S.*\.exe)\s*\*?\s*")


def candidates(environment: Mapping[str, str], home: Path) -> dict[int, list[str]]:
    """Files that are called like interpreters; scripts last, for they take long to find some other file, or none."""
    found: dict[int, list[str]] = {}
    for directory in dict.fromkeys(_directories(environment, home)):
        for minor, path in _in_directory(directory):
            paths = found.setdefault(minor, [])
            if path not in paths:
                paths.append(path)
    return {minor: sorted(paths, key=_is_script) for minor, paths in found.items()}


def _directories(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    yield from (Path(one) for one in environment.get("PATH", "").split(os.pathsep) if os.path.isabs(one))
    if sys.platform == "win32":
        return
    yield from (Path("/usr/local/bin"), Path("/usr/bin"))
    if sys.platform == "darwin":
        yield Path("/opt/homebrew/bin")
        yield from _newest_first(Path("/Library/Frameworks/Python.framework/Versions"), "*/bin")
    yield from _newest_first(Path(environment.get("PYENV_ROOT") or home / ".pyenv") / "versions", "*/bin")
    yield from _newest_first(home / ".local" / "share" / "uv" / "python", "cpython-*/bin")
    yield from _newest_first(Path(sys.base_prefix).parent, "*/bin")  # neighbours of our own
    yield from _newest_first(Path("/opt"), "*/bin")


def _newest_first(root: Path, pattern: str) -> list[Path]:
    try:
        found = list(root.glob(pattern))
    except OSError:  # we may not look there
        return []
    return sorted(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parent.name)], reverse=True)


def _in_directory(directory: Path) -> Iterator[tuple[int, str]]:
    try:
        names = os.listdir(directory)
    except OSError:  # PATH names what is not there, or we may not look
        return
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None and int(match[1]) in MINORS and _may_run(directory / name):
            yield int(match[1]), str(directory / name)


def _may_run(path: Path) -> bool:
    """A program that belongs to us or to the system: what somebody else put somewhere we do not even try."""
    try:
        found = path.stat()
    except OSError:  # a link to nowhere
        return False
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        return False
    return sys.platform == "win32" or found.st_uid in (0, os.getuid())


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:  # a program need not be readable
        return False


async def from_launcher() -> dict[int, list[str]]:
    """What the `py` launcher of Windows knows."""
    launcher = shutil.which("py") if sys.platform == "win32" else None
    if launcher is None:
        return {}
    null = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            launcher, "--list-paths", stdin=null, stdout=asyncio.subprocess.PIPE, stderr=null
        )
    except OSError:
        return {}
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LAUNCHER_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return {}
    return listed(output.decode(errors="replace"))


def listed(text: str) -> dict[int, list[str]]:
    """The paths in a list of the launcher's, old (` -3.8-64 *  C:\\...`) or new (` -V:3.12 *  C:\\...`)."""
    found: dict[int, list[str]] = {}
    for line in text.splitlines():
        match = _LISTED.fullmatch(line)
        if match is not None and int(match[1]) in MINORS:
            found.setdefault(int(match[1]), []).append(match[2])
    return found
