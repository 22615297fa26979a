"""Templates: setup runs once, and every worker forked from there has what it made."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from lightwork.wire import channel as ch, outcome as oc
from tests.worker.agent_double import KeeperDouble, arguments, processes_of, setup_payload

SOURCE = """
data = None
def prepare(size):
    global data
    import os
    data = bytearray(size)
    print("prepared", flush=True)
    return os.getpid()
def use(n):
    import lightwork
    data[n] += 1
    return len(data), data[n], lightwork.node_value()
def tidy():
    print("tidied", len(data))
    open("tidied", "w").close()
"""


@pytest.fixture
def names():
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(SOURCE, namespace)
    return namespace


def test_setup_runs_once_and_workers_inherit(a_keeper: KeeperDouble, names, tmp_path):
    template = a_keeper.template(
        names["use"], setup=setup_payload(names["prepare"], 50_000_000), cleanup=setup_payload(names["tidy"])
    )
    template.expect(ch.TEMPLATE_READY)
    workers = [template.worker() for _ in range(3)]
    for worker in workers:
        assert worker.call(5).value == (50_000_000, 1, template.pid), "its own copy, without LOAD"
        worker.load(names["use"], slot=2)
        assert worker.call(5, slot=2).value == (50_000_000, 2, template.pid)
    with open(f"/proc/{workers[0].pid}/smaps_rollup") as file:
        private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    assert private < 25_000, "kB: the data is shared, copy on write"
    for worker in workers:
        worker.send(ch.QUIT)
        template.expect(ch.DIED, worker.id)
    template.send(ch.CLEANUP, {}, slot=1)
    assert template.expect(ch.CLEANED) == {}
    assert (tmp_path / "tidied").exists()
    assert os.read(template.setup_pipes[0], 1000) == b"prepared\ntidied 50000000\n"
    template.close()


def test_setup_that_fails_is_told_with_its_traceback_and_output(a_keeper: KeeperDouble, names):
    def bad():
        import os
        import subprocess

        subprocess.Popen(["sleep", "66"])
        os.write(2, b"trying\n")
        raise OSError("no such data set")

    template = a_keeper.template(names["use"], setup=setup_payload(bad))
    failed = template.expect(ch.TEMPLATE_FAILED)
    assert (failed["type"], failed["message"], failed["during"]) == (b"OSError", b"no such data set", b"setup")
    assert b'raise OSError("no such data set")' in failed["traceback"]
    assert os.read(template.setup_pipes[1], 100) == b"trying\n"
    a_keeper.expect(ch.DIED, template.id)
    template.close()


def test_a_computation_that_cannot_be_loaded(a_keeper: KeeperDouble):
    template = a_keeper.template(None, payload=b"\x80\x05cno_such_module\nname\n.")
    assert template.expect(ch.TEMPLATE_FAILED)["during"] == b"load"
    template.close()


def test_the_death_of_a_template_takes_its_workers_along(a_keeper: KeeperDouble, names, tmp_path):
    template = a_keeper.template(names["use"], setup=setup_payload(names["prepare"], 10))
    template.expect(ch.TEMPLATE_READY)
    worker = template.worker()
    os.kill(template.pid, signal.SIGKILL)
    died = a_keeper.expect(ch.DIED, template.id)
    assert int(died["status"]) & 0x7F == signal.SIGKILL
    assert worker.pid not in processes_of(tmp_path, 0.5)
    template.close()


def test_helpers_that_setup_started_live_as_long_as_the_template(a_keeper: KeeperDouble, tmp_path):
    def start():
        import subprocess

        return subprocess.Popen(["sleep", "67"]).pid

    def poke():
        import lightwork

        os.kill(lightwork.node_value(), 0)
        return lightwork.node_value()

    template = a_keeper.template(poke, setup=setup_payload(start))
    template.expect(ch.TEMPLATE_READY)
    first = template.worker()
    helper = first.call().value
    first.send(ch.QUIT)
    template.expect(ch.DIED, first.id)
    assert template.worker().call().value == helper
    template.close()
    a_keeper.expect(ch.DIED, template.id)
    assert helper not in processes_of(tmp_path, 0.5)


def test_random_numbers_differ_between_workers(a_keeper: KeeperDouble):
    pytest.importorskip("numpy")

    def start():
        import random

        import numpy as np

        return random.random(), np.random.rand()

    def draw():
        import random

        import numpy as np

        return random.random(), float(np.random.rand())

    template = a_keeper.template(draw, setup=setup_payload(start))
    template.expect(ch.TEMPLATE_READY)
    drawn = [template.worker().call().value for _ in range(2)]
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]
    template.close()


def test_jobs_of_a_template_die_alone(a_keeper: KeeperDouble, names):
    template = a_keeper.template(lambda n: os._exit(n), setup=setup_payload(names["prepare"], 10))
    template.expect(ch.TEMPLATE_READY)
    worker = template.worker()
    (token,) = worker.run([arguments(4)])
    assert int(template.expect(ch.DIED, worker.id)["status"]) == 4 << 8
    assert worker.to_blame() == token
    assert oc.DIED == 6
    assert template.worker().pid
    template.close()
