"""The worker without fork, over loopback."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.worker.agent_double import arguments, portable_worker, processes_of, setup_payload
from tests.worker.test_output import print_much, speak, spoken


def test_jobs_and_their_output(tmp_path):
    with portable_worker(tmp_path) as worker:
        worker.load(speak)
        tokens = worker.run([arguments(n) for n in range(2000)])
        worker.wait(lambda: len(worker.ends) == 2000)
        assert [worker.ends[token].stdout for token in tokens] == [spoken(n) for n in range(2000)]
        assert [worker.ends[token].value for token in tokens] == list(range(2000))


@pytest.mark.parametrize("size", [10_000_000, pytest.param(100_000_000, marks=pytest.mark.slow)])
def test_a_hundred_megabytes(tmp_path, size: int):
    with portable_worker(tmp_path) as worker:
        worker.load(print_much)
        stream = worker.call("child", size).outcome.stdout
        assert len(stream.head) + len(stream.tail) + stream.dropped == size


def test_setup_runs_here_and_cleanup(tmp_path):
    def prepare():
        return "value"

    def look():
        import lightwork

        return lightwork.node_value()

    def tidy():
        open("tidied", "w").close()

    with portable_worker(tmp_path) as worker:
        worker.load(look, setup=setup_payload(prepare), cleanup=setup_payload(tidy), run_setup=b"1")
        assert worker.call().value == "value"
        worker.send(ch.CLEANUP, slot=1)
        assert worker.expect(ch.CLEANED).body == b""
        assert (tmp_path / "tidied").exists()


def test_death_and_cancel(tmp_path):
    def act(what):
        import os
        import time

        time.sleep(30) if what == "sleep" else os._exit(3) if what == "die" else None

    with portable_worker(tmp_path) as worker:
        worker.load(act)
        (token,) = worker.run([arguments("sleep")])
        worker.wait(lambda: worker.words[sf.STARTED] == token)
        worker.words[sf.CANCEL] = token
        os.kill(worker.pid, signal.SIGINT)
        assert worker.end(token).kind == oc.CANCELLED
        tokens = worker.run([arguments("die"), arguments("nothing")])
        assert worker.process.wait(20) == 3
        assert worker.to_blame() == tokens[0]
        assert worker.unstarted() == tokens[1:]


def test_end_of_file_ends_it(tmp_path):
    with portable_worker(tmp_path) as worker:
        worker.load(print)
        worker.channel.close()
        assert worker.process.wait(20) == 0


def test_end_of_file_ends_it_in_the_middle_of_a_job(tmp_path):
    def sleep():
        import subprocess

        subprocess.run(["sleep", "75"], check=False)

    with portable_worker(tmp_path) as worker:
        worker.load(sleep)
        (token,) = worker.run([arguments()])
        worker.wait(lambda: worker.words[sf.STARTED] == token)
        worker.pump(0.2)
        worker.channel.close()
        assert worker.process.wait(5) == 0
        assert processes_of(tmp_path, 2.0) == {}


@pytest.mark.parametrize("missing", ["fork", "getuid", "killpg", "register_at_fork", "memfd_create"])
def test_it_needs_nothing_that_windows_lacks(tmp_path, monkeypatch, missing: str):
    """A sitecustomize takes the function away before our code runs."""
    (tmp_path / "sitecustomize.py").write_text(f"import os\nif hasattr(os, {missing!r}): del os.{missing}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with portable_worker(tmp_path) as worker:
        worker.load(lambda: (print("hello"), sys.version_info[0]))
        end = worker.call()
        assert (end.value, end.stdout) == ((None, 3), b"hello\n")


def test_start(tmp_path):
    began = time.monotonic()
    with portable_worker(tmp_path):
        assert time.monotonic() - began < 3  # about 0.1 s on a quiet machine
