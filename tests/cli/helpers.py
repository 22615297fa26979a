"""Runs the real command in a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

COMMAND = [sys.executable, "-m", "lightwork"]


def clean_environment(**extra):
    """This process's environment without what would change how the command talks."""
    mine = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return mine | extra


def lightwork(*arguments, cwd, stdin=b"", timeout=60, **environment):
    """The finished command, with bytes on stdout and stderr."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=clean_environment(**environment),
        timeout=timeout,
        check=False,
    )


def start(*arguments, cwd, **options) -> Any:
    """The command, running; pipes on all sides unless told otherwise."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=cwd, **(pipes | {"env": clean_environment()} | options)
    )


def script(path: Path, body: str) -> Path:
    """An executable Python script."""
    path.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    path.chmod(0o755)
    return path


def marked(mark: str) -> list[int]:
    """Processes whose environment carries this mark, zombies apart: all that a command started inherits it."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if process.info["status"] != psutil.STATUS_ZOMBIE and process.environ().get("RUN_TEST_MARK") == mark:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def gone(mark: str, within_s: float) -> list[int]:
    """Those still there after this time; empty is what one wants."""
    deadline = time.monotonic() + within_s
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def wait_for(condition, within_s=30.0):
    """Waits until `condition()` is true, and fails if it never is."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.02)
    return value
