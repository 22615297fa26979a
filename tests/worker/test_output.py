"""Output at descriptor level: whose it is, to the byte, whoever wrote it and however much."""

from __future__ import annotations

import os

import pytest

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.worker.agent_double import KeeperDouble, WorkerDouble, arguments

LIMIT = ch.OUTPUT_LIMIT


def speak(n):
    import ctypes
    import os
    import subprocess
    import sys

    if n % 7 == 0:
        print("py", n)
    elif n % 11 == 0:
        os.write(1, b"fd %d\n" % n)
    elif n % 13 == 0:
        ctypes.CDLL(None).printf(b"c %d\n", n)
    elif n % 17 == 0:
        sys.stdout.write("part %d" % n)
    elif n % 499 == 0:
        subprocess.run(["echo", "child %d" % n], check=True)
    return n


def spoken(n: int) -> bytes:
    for divisor, word in ((7, "py %d\n"), (11, "fd %d\n"), (13, "c %d\n"), (17, "part %d"), (499, "child %d\n")):
        if n % divisor == 0:
            return (word % n).encode()
    return b""


def test_output_of_thousands_of_jobs_is_each_ones_own(worker: WorkerDouble):
    worker.load(speak)
    tokens = worker.run([arguments(n) for n in range(5000)])
    worker.wait(lambda: len(worker.ends) == 5000)
    assert [worker.ends[token].stdout for token in tokens] == [spoken(n) for n in range(5000)]


def test_both_streams_in_order_of_python_c_and_children(worker: WorkerDouble):
    def speak():
        import os
        import sys

        for n in range(3):
            print("out", n)
            print("err", n, file=sys.stderr)
            os.system("echo child %d; echo oops %d >&2" % (n, n))
        return "\udce4 \N{SNOWMAN}"

    worker.load(speak)
    end = worker.call()
    assert end.stdout == b"".join(b"out %d\nchild %d\n" % (n, n) for n in range(3))
    assert end.stderr == b"".join(b"err %d\noops %d\n" % (n, n) for n in range(3))


def print_much(how, size):
    import os
    import subprocess
    import sys

    line = "x" * 99 + "\n"
    if how == "python":
        for _ in range(size // 100):
            print(line, end="")
    elif how == "c":
        import ctypes

        puts, text = ctypes.CDLL(None).puts, line.encode()[:-1]
        for _ in range(size // 100):
            puts(text)
    else:
        code = "import os\nfor _ in range(%d): os.write(1, b'x' * 99999 + b'\\n')" % (size // 100_000)
        subprocess.run([sys.executable, "-c", code], check=True)
    return os.getpid()


@pytest.mark.parametrize("size", [10_000_000, pytest.param(100_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["python", "c", "child"])
def test_a_hundred_megabytes(worker: WorkerDouble, how: str, size: int):
    worker.load(print_much)
    end = worker.call(how, size)
    assert end.value == worker.pid
    stream = end.outcome.stdout
    assert (len(stream.head), len(stream.tail)) == (LIMIT, LIMIT)
    assert len(stream.head) + len(stream.tail) + stream.dropped == size
    assert stream.tail.endswith(b"xxx\n")
    assert worker.call(how, 1000).stdout in (b"x" * 99 + b"\n", (b"x" * 99 + b"\n") * 10, b"")


def test_short_jobs_with_more_than_a_pipe_holds(worker: WorkerDouble):
    """They block until the agent claims them; nothing is lost, nothing goes to the neighbour."""
    worker.load(lambda n: print("%d " % n * 50_000))
    for n in range(3):
        assert worker.call(n).stdout == b"%d " % n * 50_000 + b"\n"
        assert worker.call(7).stdout[:4] == b"7 7 "


def test_claims_that_come_at_any_moment_take_nothing_of_another(worker: WorkerDouble):
    """The agent claims what it sees, at random: jobs around the end of the wait write before and after it."""

    def speak(n):
        import time

        print("a", n)
        time.sleep((n % 5) / 1000)
        print("b", n)

    worker.load(speak)
    tokens = worker.run([arguments(n) for n in range(300)])

    def claim_now() -> bool:
        token = worker.words[sf.STARTED]
        if not worker.owned and worker.words[sf.ENDED] != token:
            import time

            worker.words[sf.CLAIM] = token
            time.sleep(0.001)
            if worker.words[sf.STARTED] == token and worker.words[sf.ENDED] != token:
                worker.own(token)
            else:
                worker.words[sf.CLAIM] = 0
        return len(worker.ends) == 300

    worker.wait(claim_now)
    assert worker.kept  # how many, the moments decide
    assert [worker.ends[token].stdout for token in tokens] == [b"a %d\nb %d\n" % (n, n) for n in range(300)]


def test_output_limit_keeps_head_and_tail(worker: WorkerDouble):
    worker.load(lambda: print("0123456789" * 5))
    stream = worker.call(options={"output_limit": b"10"}).outcome.stdout
    assert stream == oc.Stream(b"0123456789", b"123456789\n", 31)


def test_last_words_of_a_dying_worker(a_keeper: KeeperDouble):
    def die():
        import os
        import sys

        sys.stderr.write("last words\n")
        os.abort()

    worker = a_keeper.worker()
    worker.load(die)
    worker.run([arguments()])
    a_keeper.expect(ch.DIED, worker.id)
    assert b"last words" in os.read(worker.pipes[1], 1000)


def break_stdout(how):
    import os
    import sys

    sys.stdout.write("before ")
    if how == "close":
        sys.stdout.close()
    elif how == "close descriptors":
        os.close(1)
        os.close(2)
    elif how == "detach":
        sys.stdout.detach()  # type: ignore[union-attr]
    elif how == "replace":
        import io

        sys.stdout = io.StringIO()
    elif how == "dup2":
        target = os.open("elsewhere", os.O_WRONLY | os.O_CREAT)
        os.dup2(target, 1)
    elif how == "None":
        sys.stdout = None
    elif how == "reconfigure":
        sys.stdout.reconfigure(encoding="utf-16", line_buffering=False)  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["close", "close descriptors", "detach", "replace", "dup2", "None", "reconfigure"])
def test_broken_streams_are_whole_again_for_the_next(worker: WorkerDouble, how: str):
    worker.load(break_stdout)
    worker.load(lambda n: (print("out", n), os.write(2, b"err")), slot=2)
    for n in range(2):
        assert worker.call(how).kind == oc.RETURNED
        end = worker.call(n, slot=2)
        assert (end.stdout, end.stderr) == (b"out %d\n" % n, b"err")


def test_characters_that_cannot_be_encoded(worker: WorkerDouble):
    worker.load(lambda: print("ä \udc80"))
    assert worker.call().stdout == "ä \\udc80\n".encode()
