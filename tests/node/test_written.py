"""What a running attempt has written can be read while it runs, from any byte on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from lightwork.wire.messages import AskOutput, Computation, JobOptions, OutputNow
from tests.node.scheduler_double import SchedulerDouble, arguments, function, node


@pytest.fixture(params=["keeper", "portable"])
def kind(request: pytest.FixtureRequest) -> dict[str, bool]:
    return {"portable": request.param == "portable"}


def speak_and_wait(go_on: str) -> None:
    import os
    import time

    os.write(1, b"begin ")
    os.write(2, b"oops")
    while not os.path.exists(go_on):
        time.sleep(0.01)
    os.write(1, b"end")
    while not os.path.exists(go_on + "2"):
        time.sleep(0.01)


async def asked(scheduler: SchedulerDouble, token: int, stdout_from: int = 0, stderr_from: int = 0) -> OutputNow:
    number = 1000 + len(scheduler.others)
    scheduler.link.send(AskOutput(number, token, stdout_from, stderr_from))

    def answers() -> list[Any]:
        return [one for one in scheduler.others if isinstance(one, OutputNow) and one.number == number]

    await scheduler.until(answers)
    told: OutputNow = answers()[0]
    return told


async def until_written(scheduler: SchedulerDouble, token: int, text: bytes) -> OutputNow:
    while True:
        told = await asked(scheduler, token)
        assert not told.error
        if told.stdout == text:
            return told
        assert text.startswith(told.stdout)
        await asyncio.sleep(0.01)


def test_a_running_job_is_read(tmp_path: Path, kind: dict[str, Any]) -> None:
    go_on = tmp_path / "go"

    async def story() -> None:
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, _agent):
            computation = function(speak_and_wait)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments(str(go_on))])
            await scheduler.until(lambda: token in scheduler.started)
            told = await until_written(scheduler, token, b"begin ")
            assert (told.stderr, told.stdout_at) == (b"oops", 0)
            go_on.touch()
            await until_written(scheduler, token, b"begin end")
            told = await asked(scheduler, token, 6, 2)
            assert (told.stdout_at, told.stdout, told.stderr_at, told.stderr) == (6, b"end", 2, b"ps")
            told = await asked(scheduler, token, 1 << 62, -1)
            assert (told.stdout, told.stderr) == (b"", b"oops")
            (tmp_path / "go2").touch()
            [end] = await scheduler.all_ended([token])
            assert end.outcome.stdout.head == b"begin end"
            assert (await asked(scheduler, token)).error
            assert (await asked(scheduler, 77)).error

    asyncio.run(story())


def test_the_middle_that_was_not_kept_is_told(tmp_path: Path, kind: dict[str, Any]) -> None:
    async def story() -> None:
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, _agent):
            computation = function(speak_and_wait)
            scheduler.prepare(computation)
            go_on = tmp_path / "go"
            [token] = scheduler.assign(computation, [arguments(str(go_on))], options=JobOptions(output_limit_bytes=2))
            await scheduler.until(lambda: token in scheduler.started)
            await until_written(scheduler, token, b"be")
            told = await asked(scheduler, token, 2)
            assert (told.stdout_at, told.stdout) == (4, b"n ")
            go_on.touch()
            (tmp_path / "go2").touch()
            await scheduler.all_ended([token])

    asyncio.run(story())


def test_a_running_program_is_read(tmp_path: Path, kind: dict[str, Any]) -> None:
    go_on = tmp_path / "go"
    code = f"import os, time\nos.write(1, b'begin ')\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)"

    async def story() -> None:
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, _agent):
            computation = Computation("p", "program", "python", argv=(sys.executable, "-c", code))
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [b""])
            await scheduler.until(lambda: token in scheduler.started)
            await until_written(scheduler, token, b"begin ")
            go_on.touch()
            await scheduler.all_ended([token])

    asyncio.run(story())
