"""A worker where there is no fork: spawned on its own, it calls the agent over loopback and shows the key it was given.

The agent holds the other ends of its standard streams and reads them freely; markers in the streams say where an
attempt's output ends (channel.OUTPUT_MARKER). `setup` runs in each worker.
"""

from __future__ import annotations

import _socket
import _thread
import mmap
import os
import sys
import time
from typing import Dict, List

from lightwork.wire.channel import READY, pack_frame
from lightwork.wire.outcome import encode_fields
from lightwork.worker.arena import Arena, lifted
from lightwork.worker.process import become_subreaper, lift

_SHARED_SIZE_WHOLE = 0
_WATCH_S = 0.5


def main(options: Dict[str, List[str]], key: str) -> None:
    """The worker's life."""
    host, port = options["connect"]
    if "key-file" in options:
        with open(options["key-file"][0]) as file:
            key = file.read().strip()
    channel = _connect(host, int(port))
    ready = {"key": key.encode(), "pid": b"%d" % os.getpid(), "python": sys.version.split()[0].encode()}
    channel.sendall(pack_frame(READY, encode_fields(ready)))
    with open(options["shared"][0], "r+b") as file:
        view = memoryview(mmap.mmap(file.fileno(), _SHARED_SIZE_WHOLE))
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (1, 2):
            msvcrt.setmode(descriptor, os.O_BINARY)
    become_subreaper()
    _thread.start_new_thread(_watch, (channel,))
    while not _thread._count():  # it counts once it runs; restore.py takes stock of what there is
        time.sleep(0.0005)

    from lightwork.worker.link import Link
    from lightwork.worker.main import Worker, live

    arena = Arena(*(lifted(options.get(name, [""])[0]) for name in ("args-arena", "results-arena")))
    worker = Worker(Link(channel), view, arena, None)
    if "init" in options:
        from lightwork.worker import node_module

        worker.broken = node_module.load(options["init"][0])
        worker.output.flush()
    live(worker, greeted=True)


def _watch(channel: _socket.socket) -> None:
    """In a thread of its own: when the agent is gone, so are we at once, even in the middle of a job.

    Where there is a keeper, it does this.
    """
    import select

    from lightwork.worker import killing

    while True:
        try:
            select.select([channel], [], [])
            gone = not channel.recv(1, _socket.MSG_PEEK)
        except (OSError, ValueError):
            gone = True
        if gone:
            killing.kill_below(os.getpid())
            os._exit(0)
        time.sleep(_WATCH_S)  # there are frames waiting: no hurry


def _connect(host: str, port: int) -> _socket.socket:
    channel = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    channel.connect((host, port))
    channel.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    if sys.platform != "win32":
        channel = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, lift(channel.detach()))
    return channel
