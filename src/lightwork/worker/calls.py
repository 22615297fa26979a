"""The jobs of one RUN frame with their options, and what a running job can ask of its worker."""

from __future__ import annotations

import errno
import os
import sys
from array import array
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from lightwork.wire.channel import BODY_MAX, FILE, NODE_LOG, NOT_TOLD, OUTPUT_LIMIT, PROVISIONAL, U64
from lightwork.wire.outcome import NAME_SUFFIX, NEW_FILE, decode_fields, encode_fields
from lightwork.wire.shared_file import STARTED
from lightwork.worker.context import JobInfo
from lightwork.worker.jobs import Computation, environment_of
from lightwork.worker.kinds import Chunk
from lightwork.worker.link import Shield
from lightwork.worker.output import Output
from lightwork.worker.restore import Place
from lightwork.worker.travel import Packer, Parts

if TYPE_CHECKING:
    from lightwork.worker.main import Worker

_PROVISIONAL_MAX = BODY_MAX - 4096  # in a frame


class Frame:
    """Jobs that are run with one set of options."""

    def __init__(self, computation: Computation, options: bytes, tokens: List[int], shift: int) -> None:
        self.computation, self.tokens, self._shift = computation, tokens, shift
        self.options: Dict[str, bytes] = decode_fields(options) if options else {}
        self.call: Callable[..., Any] = computation.call
        self.unpack = computation.unpack
        self.place = computation.place
        self.output_limit = OUTPUT_LIMIT
        self.broken: Optional[BaseException] = None
        self._replaced: Dict[str, Any] = {}
        self._own = ""  # the jobs' own directory; their files may be modules, which go when they go
        self._limits: Any = None
        computation.enter()
        if self.options:
            self._read_options()

    def _read_options(self) -> None:
        options, place = self.options, self.computation.place
        self.output_limit = int(options.get("output_limit", b"%d" % OUTPUT_LIMIT))
        if "chunk" in options:
            self.call = Chunk(self.computation.call)
        environment = environment_of(options)
        directory = os.fsdecode(options.get("directory", b""))
        path = place.path
        if directory:
            self._own = os.path.abspath(directory) + os.sep
            path = [os.path.join(directory, ".lightwork", "modules"), directory, *path]
        if environment or directory:
            self.place = Place(directory or place.directory, path, dict(place.environment, **environment))

    def begin(self, output: Output) -> None:
        """Before the first job: injected names, standard input, limits."""
        options = self.options
        if not options:
            return
        if "injected" in options:
            self._replaced = self.computation.inject(self.computation.loads(options["injected"]))
        if "stdin" in options:
            output.feed_stdin(options["stdin"])
        if "memory" in options:
            self._limits = limit_memory(int(options["memory"]))

    def end(self, output: Output) -> None:
        """After the last job: undo `begin`."""
        if self._replaced:
            self.computation.withdraw(self._replaced)
        if self._own:
            self._forget_modules()
        if "stdin" in self.options:
            output.drop_stdin()
        if self._limits is not None:
            restore_memory(self._limits)

    def _forget_modules(self) -> None:
        """What was imported from the jobs' own directory: another job's module may have the same name."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(self._own):
                del sys.modules[name]

    def item_field(self) -> Dict[str, bytes]:
        """Which item of a chunk failed."""
        call = self.call
        return {"item": b"%d" % call.item} if isinstance(call, Chunk) and call.item >= 0 else {}

    def info(self, token: int) -> JobInfo:
        """What current_job() tells about the attempt `token`."""
        index = self.tokens.index(token)
        computation = self.computation
        number = self._column("numbers", "Q", index)
        if number is None and self._shift != NOT_TOLD:
            number = (token + self._shift) & NOT_TOLD
        attempt = self._column("attempts", "I", index) or (None if number is None else 1)
        info = JobInfo(number, token, attempt, computation.session)
        info.node, info.address, info.computation = computation.node, computation.address, computation.name
        info.directory = os.path.abspath(self.place.directory)
        return info

    def _column(self, name: str, code: str, index: int) -> Optional[int]:
        if name not in self.options:
            return None
        column = array(code)
        column.frombytes(self.options[name])
        return int(column[index])


class Host:
    """A worker, as context.py sees it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._files = 0

    def job(self) -> Optional[JobInfo]:
        """The running job, if this is the process that it was given to."""
        worker = self._worker
        if not worker.hand.running or worker.forked or worker.frame is None:
            return None
        return worker.frame.info(worker.words[STARTED])

    def value(self) -> Any:
        """What setup returned."""
        return self._worker.environment.value

    def provisional(self, value: Any) -> None:
        """Pickle an intermediate result and send it; a large one by the arena."""
        worker = self._worker
        payload = Packer().pack(value)
        with Shield(worker.hand, worker.words):
            token = U64.pack(worker.words[STARTED])
            in_arena = isinstance(payload, Parts) and worker.arena.writable
            if isinstance(payload, Parts):
                payload = worker.arena.store(worker.link, payload) if in_arena else _inline(payload)
            worker.link.send(PROVISIONAL, token + payload, count=int(in_arena))

    def file(self, path: str, name: str) -> None:
        """Copy a file into the spool, as it is now, and tell the agent."""
        worker = self._worker
        if worker.frame is None:
            return
        import shutil

        most = worker.frame.computation.file_max
        if most and os.path.getsize(path) > most:
            found = os.path.getsize(path)
            raise OSError(errno.EFBIG, "%d bytes are more than this node sends in one file (%d)" % (found, most), path)
        token = worker.words[STARTED]
        directory = os.path.join(worker.frame.computation.spool, str(token))
        self._files += 1
        spooled = os.path.join(directory, NEW_FILE + str(self._files))
        os.makedirs(directory, exist_ok=True)
        if worker.frame.computation.lasting:
            with open(spooled + NAME_SUFFIX, "wb") as named:
                named.write(name.encode("utf-8", "surrogateescape"))
        shutil.copyfile(path, spooled)
        shutil.copystat(path, spooled)
        fields = {
            "token": b"%d" % token,
            "path": name.encode("utf-8", "surrogateescape"),
            "spooled": os.fsencode(spooled),
            "size": b"%d" % os.path.getsize(spooled),
        }
        with Shield(worker.hand, worker.words):
            worker.link.send(FILE, encode_fields(fields))

    def log(self, text: str) -> None:
        """A line for the node's log."""
        with Shield(self._worker.hand, self._worker.words):
            self._worker.link.send(NODE_LOG, text.encode("utf-8", "backslashreplace"))


def _inline(payload: Parts) -> bytes:
    """For a frame. Raises ValueError: it is too large for one."""
    if payload.size > _PROVISIONAL_MAX:
        raise ValueError(
            "an intermediate result of %d bytes cannot be sent from here; write it to a file and send_file() it"
            % payload.size
        )
    return payload.join()


def limit_memory(size: int) -> Any:
    """Let this process allocate at most `size` bytes beyond what it has; returns what was, for `restore_memory`."""
    if sys.platform != "linux":
        return None
    import resource

    was = resource.getrlimit(resource.RLIMIT_DATA)
    _set_data_limit((_data_size() + size, was[1]))
    return was


def restore_memory(was: Any) -> None:
    """Undo `limit_memory`."""
    if sys.platform == "linux":
        _set_data_limit(was)


def _set_data_limit(limits: Any) -> None:
    if sys.platform == "linux":
        import resource

        setter = getattr(resource.setrlimit, "unwatched", resource.setrlimit)  # restore.py notes who calls it: not us
        setter(resource.RLIMIT_DATA, limits)


def _data_size() -> int:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
