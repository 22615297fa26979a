"""Runs a packed computation in another interpreter: started with -I in an empty directory, with nothing but its files.

`run` is what the table of kinds is run with. An end-to-end test offers a function of the same form over a cluster.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lightwork.payload.arguments import pack_job
from lightwork.payload.computation import PackedComputation, pack_computation
from lightwork.payload.reading import unpack_value
from lightwork.wire.messages import File

# A worker in a few lines: what the payload room promises about its formats, and nothing more. It is told a directory on
# each line of its input and forks for each, so that every job begins in an interpreter that has loaded nothing.
WORKER = r"""
import asyncio, cloudpickle, linecache, os, pickle, struct, sys, traceback, types

def load_all(path):
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = []
        while file.tell() < size:
            found.append(pickle.load(file))
        return found

def load_arguments(path):
    with open(path, "rb") as file:
        given = file.read()
    parts = [given]
    if given[:8] == b"\0LWSEG\0\1":
        (count,) = struct.unpack_from("<Q", given, 8)
        parts, at = [], -(-(16 + 8 * count) // 64) * 64
        for length in struct.unpack_from("<%dQ" % count, given, 16):
            parts.append(bytearray(given[at : at + length]))
            at = -(-(at + length) // 64) * 64
    return pickle.loads(parts[0], buffers=parts[1:])

def run(top):
    (call, injected, init, sources), *classes = load_all(top + "/computation")
    for name, text in sources.items():
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    getattr(call, "__globals__", {}).update(injected)
    if init is not None:
        init()
    args, kwargs = load_arguments(top + "/arguments")
    value = call(*args, **kwargs)
    if isinstance(value, types.CoroutineType):
        value = asyncio.run(value)
    try:
        return pickle.dumps((value, ""), 5)
    except Exception:
        return cloudpickle.dumps((value, ""), 5)

for line in sys.stdin:
    top = line.rstrip("\n")
    if os.fork():
        os.wait()
        print(flush=True)
        continue
    os.chdir(top + "/directory")
    sys.path[:0] = [top + "/directory/.lightwork/modules", top + "/directory"]
    try:
        data = run(top)
    except BaseException:
        data = pickle.dumps((None, traceback.format_exc()))
    with open(top + "/result", "wb") as file:
        file.write(data)
    os._exit(0)
"""


class JobFailed(Exception):
    """The job raised, elsewhere."""


def run(computation, args=(), kwargs=None, depends=()):
    """What a job of this computation returns."""
    packed, payload = pack_job(pack_computation(computation, depends=depends), tuple(args), dict(kwargs or {}))
    return run_packed(packed, payload if isinstance(payload, bytes) else payload.to_bytes())


def run_packed(packed: PackedComputation, arguments: bytes):
    """Run one job of a packed function."""
    with tempfile.TemporaryDirectory() as top:
        place_files(Path(top, "directory"), packed.wire.files, packed.blobs)
        Path(top, "computation").write_bytes(packed.wire.payload)
        Path(top, "arguments").write_bytes(arguments)
        worker = _worker()
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(top + "\n")
        worker.stdin.flush()
        worker.stdout.readline()
        value, error = unpack_value(Path(top, "result").read_bytes())
    if error:
        raise JobFailed(error)
    return value


@functools.cache
def _worker() -> subprocess.Popen[str]:
    """Ends at the end of its input, which is our end."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", WORKER],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def place_files(directory: Path, files: tuple[File, ...], blobs: Mapping[str, str | bytes]) -> None:
    """What the node does with the files of a computation."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in files:
        blob = blobs[file.digest]
        content = blob if isinstance(blob, bytes) else Path(blob).read_bytes()
        assert len(content) == file.size
        path = directory / file.path
        assert ".." not in path.parts
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(file.mode)
        os.utime(path, ns=(file.modified_ns, file.modified_ns))
