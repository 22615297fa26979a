"""What a job can ask and tell."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lightwork.wire import channel as ch, outcome as oc
from lightwork.worker import context
from tests.worker.agent_double import WorkerDouble

SRC = Path(__file__).parents[2] / "src"


def test_current_job(worker: WorkerDouble, tmp_path):
    def who():
        import lightwork

        job = lightwork.current_job()
        return job.uid, job.number, job.attempt, job.node, job.address, job.directory, job.computation, job.token

    worker.load(who)
    end = worker.call(options={"numbers": ch.U64.pack(17), "attempts": ch.U32.pack(2)})
    assert end.value == ("s1/17", 17, 2, "n1", "10.0.0.1", str(tmp_path), "test", end.token)
    assert worker.call().value[1:3] == (None, None)


def test_provisional_results_and_the_nodes_log(worker: WorkerDouble):
    def work():
        import lightwork
        from lightwork.worker.context import node_log

        for n in range(3):
            lightwork.send_provisional({"step": n, "call": lambda: n})
        node_log("half way")
        return "done"

    worker.load(work)
    end = worker.call()
    assert end.value == "done"
    frames = [worker.expect(ch.PROVISIONAL) for _ in range(3)]
    assert [pickle.loads(frame.body[8:])["step"] for frame in frames] == [0, 1, 2]
    assert {ch.U64.unpack_from(frame.body)[0] for frame in frames} == {end.token}
    assert worker.expect(ch.NODE_LOG).body == b"half way"


def test_a_large_provisional_result_goes_through_the_arena(worker: WorkerDouble):
    def work():
        import lightwork

        lightwork.send_provisional(b"p" * 1_000_000)

    worker.load(work)
    worker.call()
    frame = worker.expect(ch.PROVISIONAL)
    assert frame.count == 1
    offset, length = oc.ARENA_REFERENCE.unpack(frame.body[8:])
    assert worker.arena is not None
    assert pickle.loads(worker.arena[offset : offset + length]) == b"p" * 1_000_000


def test_files_are_copied_at_once_under_their_relative_path(worker: WorkerDouble, tmp_path):
    def work():
        import os

        import lightwork

        os.makedirs("sub", exist_ok=True)
        with open("sub/picture.png", "w") as file:
            file.write("first")
        lightwork.send_file("sub/picture.png")
        with open("sub/picture.png", "w") as file:
            file.write("second")
        lightwork.send_file(os.path.abspath("sub/picture.png"))

    worker.load(work)
    assert worker.call().kind == oc.RETURNED
    sent = [oc.decode_fields(worker.expect(ch.FILE).body) for _ in range(2)]
    assert [fields["path"] for fields in sent] == [b"sub/picture.png"] * 2
    assert [Path(fields["spooled"].decode()).read_text() for fields in sent] == ["first", "second"]
    assert sent[0]["size"] == b"5"


def test_files_outside_the_jobs_directory_are_refused(worker: WorkerDouble):
    def work(path):
        import lightwork

        lightwork.send_file(path)

    worker.load(work)
    for path in ("/etc/hostname", "../x"):
        end = worker.call(path)
        assert end.failure["type"] == "UserError"
        assert "outside the job's directory" in end.failure["message"]
    assert worker.call("not-there").failure["type"] == "FileNotFoundError"


@pytest.mark.parametrize("function", ["current_job", "node_value"])
def test_outside_a_job(function: str):
    from lightwork.model.errors import NotInJob

    with pytest.raises(NotInJob, match=function):
        getattr(context, function)()


def test_not_in_a_fork_of_the_job(worker: WorkerDouble):
    def work():
        import os

        import lightwork

        pid = os.fork()
        if pid == 0:
            try:
                lightwork.send_provisional(1)
            except Exception as error:
                print(type(error).__name__)
            return None
        os.waitpid(pid, 0)
        return lightwork.current_job().node

    worker.load(work)
    end = worker.call()
    assert (end.value, end.stdout) == ("n1", b"NotInJob\n")


def test_importing_it_is_cheap():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lightwork.worker.context; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code, str(SRC)], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "socket", "_socket", "pickle", "cloudpickle", "subprocess", "threading"}
