"""Workers of other interpreters, where nothing of ours is installed."""

from __future__ import annotations

from pathlib import Path

import cloudpickle
import pytest

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.house.helpers import interpreter
from tests.worker.agent_double import KeeperDouble, arguments, keeper, portable_worker

CLOUDPICKLE = str(Path(cloudpickle.__file__).parents[1])


def by_name(module: str, name: str) -> bytes:
    """A computation that is a function of an installed module."""
    return b"\x80\x04c%s\n%s\n}N\x87." % (module.encode(), name.encode())


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.12", "3.13"])
def test_jobs_under_another_python(tmp_path, version: str):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    (tmp_path / "shipped.py").write_text(
        "import asyncio, sys, lightwork\n"
        "def work(n):\n"
        "    print('under', sys.version_info[:2])\n"
        "    return n, lightwork.current_job().node, sys.version_info[:2]\n"
        "async def later(n):\n"
        "    await asyncio.sleep(0.03)\n"
        "    return [n] * 100000\n"
        "def fail(n):\n"
        "    raise LookupError(n)  # here\n"
    )
    expected = tuple(map(int, version.split(".")))
    with keeper(tmp_path, python, ["--cloudpickle", CLOUDPICKLE]) as made:
        worker = made.worker()
        for slot, name in enumerate(("work", "later", "fail"), 1):
            frame = worker.load(None, slot=slot, payload=by_name("shipped", name))
            assert frame is not None
            assert frame.kind == ch.LOADED, oc.decode_fields(frame.body)
        end = worker.call(4)
        assert end.value == (4, "n1", expected)
        assert end.stdout == b"under (%d, %d)\n" % expected
        assert worker.call(1, slot=2).status & oc.KIND_MASK == oc.RETURNED
        failure = worker.call(1, slot=3).failure
        assert "raise LookupError(n)  # here" in failure["traceback"]
        worker.run([arguments(0)] * 200)
        worker.wait(lambda: len(worker.ends) == 203)


def test_the_portable_worker_under_the_oldest_python(tmp_path):
    python = interpreter("3.8")
    if python is None:
        pytest.skip("no Python 3.8 on this machine")
    with portable_worker(tmp_path, python) as worker:
        worker.load(None, payload=by_name("builtins", "print"))
        end = worker.call("hello")
        assert (end.kind, end.stdout) == (oc.RETURNED, b"hello\n")


def test_without_cloudpickle_it_says_so(tmp_path):
    python = interpreter("3.8")
    if python is None:
        pytest.skip("no Python 3.8 on this machine")
    with keeper(tmp_path, python) as made:
        worker = made.worker()
        frame = worker.load(None, payload=b"\x80\x04ccloudpickle\nloads\n.")
        assert frame is not None
        fields = oc.decode_fields(frame.body)
        assert b"cloudpickle" in fields["hint"]
        assert worker.words[sf.STARTED] == 0
        assert isinstance(made, KeeperDouble)
