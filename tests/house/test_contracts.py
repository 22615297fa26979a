"""The import contracts can fail: in a doll's house with one offence against each, each is reported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.helpers import ROOT, SOURCE

ROOMS = [
    "cli", "client", "scheduler/core", "node/core", "relay/core", "worker", "transport", "store", "payload", "wire",
    "security", "config", "model", "kit",
]  # fmt: skip

PURE = ["client/durable.py", "client/keeping.py", "client/past.py"]  # that the contracts name

OFFENCES = {
    "Imports run downward only": ("model/upward.py", "import lightwork.wire"),
    "Nobody inside imports the public face": ("cli/face.py", "import lightwork"),
    "Pure cores know no clock": ("scheduler/core/clock.py", "import time"),
    "The worker needs nothing installed": ("worker/fast.py", "import msgspec"),
    "The wire does no I/O": ("wire/disk.py", "import os"),
    "Only payload and worker unpickle": ("client/open.py", "import pickle"),
    "Scheduler, node and relay never unpickle": ("relay/open.py", "import lightwork.payload.open"),
    "Only transport opens sockets": ("store/call.py", "import socket"),
    "Only store keeps a database": ("client/base.py", "import sqlite3"),
    "The client is no asyncio program": ("client/loop.py", "import asyncio"),
}


def house(folder: Path, files: dict[str, str]) -> None:
    for room in ["", *ROOMS]:
        path = folder / "lightwork" / room
        path.mkdir(parents=True, exist_ok=True)
        while path != folder:
            (path / "__init__.py").touch()
            path = path.parent
    for name in PURE:
        (folder / "lightwork" / name).touch()
    for name, text in files.items():
        (folder / "lightwork" / name).write_text(text + "\n", encoding="utf-8")
    shutil.copy(ROOT / ".importlinter", folder)


def verdicts(folder: Path) -> dict[str, bool]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    run = subprocess.run([*command, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)
    found = {}
    for line in run.stdout.splitlines():
        for verdict in (" KEPT", " BROKEN"):
            name, said, _ = line.partition(verdict)
            if said:
                found[name] = verdict == " KEPT"
    assert len(found) >= len(OFFENCES), run.stdout + run.stderr
    return found


def test_an_empty_house_keeps_all_contracts(tmp_path):
    house(
        tmp_path,
        {
            "payload/open.py": "import pickle",
            "worker/open.py": "import pickle, socket",
            "store/base.py": "import sqlite3",
        },
    )
    assert [name for name, kept in verdicts(tmp_path).items() if not kept] == []


def test_each_contract_notices_its_offence(tmp_path):
    house(tmp_path, {"payload/open.py": "import pickle", **dict(OFFENCES.values())})
    found = verdicts(tmp_path)
    for start in OFFENCES:
        assert [kept for name, kept in found.items() if name.startswith(start)] == [False], start
    assert all(any(name.startswith(start) for start in OFFENCES) for name in found), (
        "a contract without an offence here"
    )


def test_both_pure_cores_exist():
    assert all(
        (SOURCE / room / "core").exists() or (SOURCE / room / "core.py").exists() for room in ("scheduler", "node")
    )
