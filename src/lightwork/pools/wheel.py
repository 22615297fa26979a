"""Lightwork as it runs here, as a wheel: what `lightwork up --install` brings to machines that have none."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

_NAME = "lightwork"
_SUFFIXES = (".py", ".typed", ".json", ".html", ".css", ".js", ".svg", ".sql", ".txt")


def build() -> tuple[str, bytes]:
    """Its file name, and its bytes. The same files give the same bytes."""
    told = importlib.metadata.distribution(_NAME)
    version = told.version
    entries = dict(_package(Path(__file__).parents[1]))
    info = f"{_NAME}-{version}.dist-info"
    entries[f"{info}/METADATA"] = (told.read_text("METADATA") or "").encode()
    entries[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: lightwork\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    entries[f"{info}/entry_points.txt"] = f"[console_scripts]\n{_NAME} = {_entry()}\n".encode()
    record = "".join(f"{path},sha256={_hash(data)},{len(data)}\n" for path, data in entries.items())
    entries[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in entries.items():
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
    return f"{_NAME}-{version}-py3-none-any.whl", file.getvalue()


def text() -> tuple[str, str]:
    """The same with the bytes as base64 in lines, for a script."""
    name, data = build()
    return name, base64.encodebytes(data).decode().rstrip("\n")


def _package(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.suffix in _SUFFIXES and path.is_file():
            yield f"{_NAME}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _entry() -> str:
    points = importlib.metadata.entry_points(group="console_scripts", name=_NAME)
    return next((point.value for point in points), "lightwork.__main__:main")


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
