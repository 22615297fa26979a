"""Programs, spawned by the keeper through a holder."""

from __future__ import annotations

import os
import signal
import sys
import time

from lightwork.wire import channel as ch, outcome as oc, shared_file as sf
from tests.worker.agent_double import KeeperDouble, processes_of


def test_a_program_with_input_environment_and_exit_code_0(a_keeper: KeeperDouble, tmp_path):
    program = a_keeper.spawn(
        ["sh", "-c", 'cat; echo "$COLOUR $0 $1"; pwd; echo bad >&2', "a b", "c"], b"in\n", {"COLOUR": "blue"}
    )
    assert int(a_keeper.expect(ch.STARTED_PID, program.id)["pid"]) > 0
    record, out, err = program.end()
    assert (record.token, record.status, record.outcome) == (77, oc.RETURNED, b"")
    assert 0 < record.duration_ns < 10**10
    assert program.shared.words[sf.STARTED] == program.shared.words[sf.ENDED] == 77
    assert out == b"in\nblue a b c\n%s\n" % os.fsencode(tmp_path)
    assert err == b"bad\n"


def test_exit_codes_and_signals(a_keeper: KeeperDouble):
    record, _, _ = a_keeper.spawn(["sh", "-c", "exit 7"]).end()
    outcome = oc.decode_outcome(record.outcome)
    assert record.status == oc.EXITED | oc.ENVELOPE
    assert outcome.failure["exit_code"] == b"7"
    record, _, _ = a_keeper.spawn(["sh", "-c", "kill -SEGV $$"]).end()
    outcome = oc.decode_outcome(record.outcome)
    assert record.status == oc.DIED | oc.ENVELOPE
    assert outcome.failure["signal"] == b"11"
    assert b"SIGSEGV" in outcome.failure["message"]
    assert int(outcome.failure["peak_memory"]) > 100_000


def test_a_program_that_does_not_exist_or_cannot_run(a_keeper: KeeperDouble, tmp_path):
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    for argv, number in ((["/no/such/program"], 2), ([str(tmp_path / "not-executable")], 13)):
        failed = a_keeper.expect(ch.SPAWN_FAILED, a_keeper.spawn(argv).id)
        assert int(failed["errno"]) == number
        assert os.fsencode(argv[0]) in failed["message"]


def test_what_a_program_leaves_behind_is_killed(a_keeper: KeeperDouble, tmp_path):
    code = "import os\nif os.fork(): os._exit(0)\nos.setsid()\nos.closerange(0, 64)\n"
    code += "os.execve('/bin/sleep', ['s', '68'], {})"
    script = 'sleep 69 >/dev/null 2>&1 & "$0" -c "$1"; exit 5'
    program = a_keeper.spawn(["sh", "-c", script, sys.executable, code])
    record, _, _ = program.end()
    assert record.status & oc.KIND_MASK == oc.EXITED
    assert set(processes_of(tmp_path, 0.3)) == set()


def test_a_living_programs_daemons_are_left_alone(a_keeper: KeeperDouble, tmp_path):
    program = a_keeper.spawn(
        ["sh", "-c", "(setsid sleep 70 >/dev/null 2>&1 &) ; sleep 0.3; pgrep -f 'sleep 70$' | wc -l"]
    )
    other = a_keeper.spawn(["false"])
    other.end()
    _, out, _ = program.end()
    assert int(out) >= 1


def test_interrupt_and_kill(a_keeper: KeeperDouble, tmp_path):
    program = a_keeper.spawn(["sh", "-c", "trap 'echo caught; exit 9' INT; while :; do sleep 0.05; done"])
    a_keeper.expect(ch.STARTED_PID, program.id)
    time.sleep(0.2)
    a_keeper.signal(program.id, signal.SIGINT)
    record, out, _ = program.end()
    assert (oc.decode_outcome(record.outcome).failure["exit_code"], out) == (b"9", b"caught\n")

    program = a_keeper.spawn(["sh", "-c", "trap '' INT TERM; sleep 71 & wait; sleep 72"])
    a_keeper.expect(ch.STARTED_PID, program.id)
    time.sleep(0.2)
    a_keeper.signal(program.id, signal.SIGTERM)
    time.sleep(0.1)
    a_keeper.kill(program.id)
    died = a_keeper.expect(ch.DIED, program.id)
    assert int(died["status"]) & 0x7F == signal.SIGKILL
    assert processes_of(tmp_path, 0.5) == {}
    assert program.shared.ring.drain() == []
    for pipe in program.pipes:
        os.close(pipe)


def test_many_programs(a_keeper: KeeperDouble):
    began = time.monotonic()
    programs = [a_keeper.spawn(["true"]) for _ in range(40)]
    assert all(program.end()[0].status == oc.RETURNED for program in programs)
    assert time.monotonic() - began < 10


def test_descriptors_of_ours_do_not_reach_programs(a_keeper: KeeperDouble):
    a_keeper.worker()
    _, out, _ = a_keeper.spawn(["ls", "/proc/self/fd"]).end()
    assert out.split() == [b"0", b"1", b"2", b"3"]  # 3: the directory that ls reads
