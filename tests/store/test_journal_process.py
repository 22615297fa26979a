"""The journal process as it really runs: what it has acknowledged is there, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightwork.store import journal_frames as frames
from lightwork.store.journal_lock import Held, LockFile
from tests.store.journal_client import Client, rows_in

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

# Opens a journal, writes batches into its pipe, says so, and is killed before it reads an answer.
PARENT = """
import sys
from pathlib import Path
from tests.store.journal_client import Client
client = Client(Path(sys.argv[1])).open()
for number in range(1, 201):
    client.send(number, [b"%d" % number, bytes(300)])
print(client.process.pid, flush=True)
sys.stdin.read()
"""


def body(number: int) -> bytes:
    return b"%d " % number + bytes(number % 97)


def test_what_is_recorded_is_there_again(tmp_path):
    client = Client(tmp_path).open()
    assert client.rows == []
    client.send(3, [b"a", b"", bytes(100_000)])
    client.send(4, [b"d"])
    client.until(lambda: client.durable == 4)
    assert client.close() == 0
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["CURRENT", "SEEN", "journal-1.sqlite"]
    again = Client(tmp_path).open()
    assert again.rows == [b"a", b"", bytes(100_000), b"d"]
    assert again.torn == ""
    again.send(1, [b"e"])  # numbers of a life begin anew
    assert again.close() == 0
    assert again.durable == 1
    assert rows_in(tmp_path)[3:] == [b"d", b"e"]


def test_all_that_waits_is_one_transaction(tmp_path):
    client = Client(tmp_path).open()
    client.process.send_signal(signal.SIGSTOP)
    for number in range(1, 100):
        client.send(number, [body(number)])
    client.process.send_signal(signal.SIGCONT)
    client.until(lambda: client.durable == 99)
    assert client.said.count(frames.DURABLE) <= 3
    assert client.close() == 0


@posix
def test_signals_of_a_terminal_do_not_end_it(tmp_path):
    client = Client(tmp_path).open()
    assert os.getsid(client.process.pid) == client.process.pid
    for number in (signal.SIGINT, signal.SIGTERM):
        client.process.send_signal(number)
    client.send(1, [b"a"])
    client.until(lambda: client.durable == 1)
    assert client.close() == 0


@posix
def test_a_killed_parent_leaves_nothing_unwritten(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert rows_in(tmp_path) == [row for number in range(1, 201) for row in (b"%d" % number, bytes(300))]
    with contextlib.suppress(FileNotFoundError):  # the next one has waited for it; it may not have been reaped yet
        assert Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"


@pytest.mark.slow
@posix
def test_what_was_acknowledged_survives_kill_9(tmp_path):
    chance = random.Random(4)
    kept: list[bytes] = []
    for life in range(20):
        client = Client(tmp_path).open()
        assert client.rows[: len(kept)] == kept, f"life {life}"
        kept = client.rows
        sent: list[bytes] = []
        end = time.monotonic() + chance.uniform(0.0, 0.15)
        while time.monotonic() < end:
            batch = [body(len(sent) + at) for at in range(chance.choice([1, 5, 20]))]
            sent += batch
            client.send(len(sent), batch)
            client.listen(0)
        client.kill()
        while not client.ended:
            client.listen(1)
        kept = kept + sent[: client.durable]
        client.stdout.close()
    assert rows_in(tmp_path)[: len(kept)] == kept
    assert len(kept) > 500


def test_damage_is_refused_with_the_record_and_what_to_do(tmp_path):
    client = Client(tmp_path).open()
    client.send(50, [body(number) for number in range(50)])
    assert client.close() == 0
    path = tmp_path / "journal" / "journal-1.sqlite"
    content = path.read_bytes()
    at = content.index(b"31 " + bytes(31))
    path.write_bytes(content[:at] + b"X" + content[at + 1 :])
    refused = Client(tmp_path)
    assert refused.wait_end() == 1
    message, _, hint = refused.failure.partition("\0")
    assert "record 32 of the journal is damaged" in message
    assert hint == f"lightwork doctor --recover {tmp_path}"
    assert path.read_bytes()[at : at + 1] == b"X"


def test_a_second_one_waits_for_the_first(tmp_path):
    first = Client(tmp_path).open()
    first.send(1, [b"a"])
    second = Client(tmp_path)
    second.listen(0.5)
    assert not second.opened
    assert first.close() == 0
    assert second.open().rows == [b"a"]
    assert second.close() == 0


def test_it_imports_next_to_nothing():
    code = "import sys, lightwork.store.journal_process; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "logging", "msgspec", "pathlib", "socket", "subprocess", "tempfile", "threading", "psutil"}
    assert set(done.stdout.split()) & heavy <= {"threading"}  # which coverage tools and debuggers bring


def test_a_lock_says_who_has_it(tmp_path):
    first, second = LockFile(str(tmp_path / "lock")), LockFile(str(tmp_path / "lock"))
    first.take("somebody")
    with pytest.raises(Held, match="somebody"):
        second.take("another", 0.1)
    first.release()
    second.take("another")
    second.release()


# --- disks that do not do what they should ---


@posix
def test_a_write_that_fails_ends_it(tmp_path):
    """A limit on the size of its files: a real error of write, and none of room."""
    import resource

    client = Client(tmp_path).open()
    client.send(1, [b"a"])
    client.until(lambda: client.durable == 1)
    resource.prlimit(client.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    client.send(2, [bytes(500_000)])
    assert client.wait_end() == 1
    assert client.durable == 1
    assert "disk I/O error" in client.failure
    assert rows_in(tmp_path) == [b"a"]


@posix
def test_a_sync_that_fails_ends_it(tmp_path):
    """Every further sync of the process fails, as on a disk that is gone."""
    if shutil.which("strace") is None:
        pytest.skip("strace is needed to make fsync fail")
    client = Client(tmp_path).open()
    client.send(1, [b"a"])
    client.until(lambda: client.durable == 1)
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]
    output = tmp_path / "trace"
    strace = subprocess.Popen([*command, "-o", str(output), "-p", str(client.process.pid)], stderr=subprocess.PIPE)
    try:
        if not attached(client.process.pid, strace):
            pytest.skip("this process may not be traced")
        client.send(2, [b"b"])
        assert client.wait_end() == 1
        assert client.durable == 1, "acknowledged without a sync"
        assert "disk I/O error" in client.failure
    finally:
        strace.terminate()
        strace.communicate()
    assert output.read_text().count("EIO") == 1, "a sync that failed was tried again"
    assert rows_in(tmp_path)[:1] == [b"a"]


def attached(pid: int, strace: subprocess.Popen[bytes]) -> bool:
    """Whether strace has it by now."""
    end = time.monotonic() + 20
    while strace.poll() is None and time.monotonic() < end:
        status = Path(f"/proc/{pid}/status").read_text()
        if f"TracerPid:\t{strace.pid}" in status:
            return True
        time.sleep(0.02)
    return False
