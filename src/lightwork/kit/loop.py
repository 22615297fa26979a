"""Which event loop runs, and how signals reach it on every system."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
INTERRUPTS = (signal.SIGTERM, signal.SIGINT)


def run_loop(work: Coroutine[Any, Any, T], *, uvloop: bool | None) -> T:
    """Run to the end on uvloop (winloop), if it is there and wanted. True: it must be there."""
    factory = None if uvloop is False else _fast_loop()
    if uvloop and factory is None:
        raise ModuleNotFoundError("uvloop is not installed", name="uvloop")
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    for name in ("uvloop", "winloop"):
        try:
            module = __import__(name)
        except ImportError:
            continue
        factory: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop
        return factory
    return None


def on_terminate(stop: Callable[[], object], signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)) -> None:
    """Call `stop` in the running loop on TERM; not by add_signal_handler, which Windows' loops lack."""
    loop = asyncio.get_running_loop()
    for number in signals:
        signal.signal(number, lambda number, frame: loop.call_soon_threadsafe(stop))
