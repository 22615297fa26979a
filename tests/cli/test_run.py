"""`lightwork run` as a user runs it: a process of its own, real programs, real files."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.helpers import clean_environment, lightwork, script, start

ECHO = "import sys, json\nprint(json.dumps(sys.argv[1:]))\n"


@pytest.fixture
def echo(tmp_path):
    """A program that prints its arguments as JSON, one line."""
    return script(tmp_path / "echo", ECHO)


def words(result):
    """The arguments that the jobs of `echo` got, in order of output."""
    assert result.returncode == 0, result.stderr.decode()
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def seeds(tmp_path):
    """/some/file1, file2 and /some/program of the seeds' command lines; the program shows the files beside it."""
    some, here = tmp_path / "some", tmp_path / "here"
    some.mkdir()
    here.mkdir()
    (some / "file1").write_text("one\n")
    (here / "file2").write_text("two\n")
    script(some / "program", "import sys\nprint(sys.argv[1:], open('file1').read() + open('file2').read())\n")
    return here


def shell(line, cwd):
    """A command line as printed, through a shell, with `lightwork` on the PATH and /some in the test's directory."""
    bin_directory = cwd / "bin"
    bin_directory.mkdir()
    script(bin_directory / "lightwork", "import sys\nfrom lightwork.cli.main import main\nsys.exit(main())\n")
    environment = clean_environment(PATH=f"{bin_directory}{os.pathsep}{os.environ['PATH']}")
    line = line.replace("/some/", f"{cwd.parent}/some/")
    return subprocess.run(line, shell=True, cwd=cwd, env=environment, capture_output=True, timeout=60, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell's quoting")
def test_the_seeds_first_line(seeds):
    line = 'lightwork run -f /some/file1 -f file2 -a "arg11 arg12" -a "arg21 arg22" -a "arg3" /some/program'
    result = shell(line, seeds)
    assert result.returncode == 0, result.stderr.decode()
    rows = result.stdout.decode().split("\n\n")
    assert rows == ["['arg11', 'arg12'] one\ntwo", "['arg21', 'arg22'] one\ntwo", "['arg3'] one\ntwo", ""]
    assert result.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell's quoting")
def test_the_seeds_second_line(seeds):
    line = """lightwork run -f /some/file1 -f file2 -a '"arg11" arg12"' -a '"arg21" "arg22"' /some/program"""
    result = shell(line, seeds)
    assert result.returncode == 0, result.stderr.decode()
    rows = result.stdout.decode().split("\n\n")
    assert rows == ["['arg11', 'arg12'] one\ntwo", "['arg21', 'arg22'] one\ntwo", ""]
    warning = result.stderr.decode()
    assert warning.startswith("warning: ")
    assert '"arg11" arg12"' in warning
    assert warning.count("\n") == 1


def test_quoting_and_odd_characters(echo, tmp_path):
    result = lightwork("run", "-a", "'a b' c\\ d \"e'f\"", "-a", "grüße $HOME *", "-a", "''", echo, cwd=tmp_path)
    assert words(result) == [["a b", "c d", "e'f"], ["grüße", "$HOME", "*"], [""]]


def test_without_sets_of_arguments_there_is_one_job(echo, tmp_path):
    assert words(lightwork("run", echo, "{}", "--name", "it's", cwd=tmp_path)) == [["{}", "--name", "it's"]]
    assert words(lightwork("run", echo, cwd=tmp_path)) == [[]]


def test_a_program_from_the_path(tmp_path):
    result = lightwork("run", "-a", "one", "-a", "two", "echo", cwd=tmp_path)
    assert result.stdout == b"one\ntwo\n"


def test_a_python_file_needs_no_execute_bit(tmp_path):
    (tmp_path / "plain.py").write_text(ECHO)
    assert words(lightwork("run", "-a", "x y", "plain.py", cwd=tmp_path)) == [["x", "y"]]


def test_lines_from_stdin(echo, tmp_path):
    lines = b"a 'b c'\n\n   \n# d\n-e\n"
    result = lightwork("run", "--args-from", "-", echo, "-v", cwd=tmp_path, stdin=lines)
    assert words(result) == [["-v", "a", "b c"], ["-v", "#", "d"], ["-v", "-e"]]


def test_lines_from_a_file_after_a(echo, tmp_path):
    (tmp_path / "list.txt").write_bytes(b"second\r\nthird")
    result = lightwork("run", "--args-from", "list.txt", "-a", "first", echo, cwd=tmp_path)
    assert words(result) == [["first"], ["second"], ["third"]]


def test_placeholders(echo, tmp_path):
    lines = b"it's here.jpg\n"
    result = lightwork("run", "--args-from", "-", echo, "{}", "{}.png", "in", cwd=tmp_path, stdin=lines)
    assert words(result) == [["it's here.jpg", "it's here.jpg.png", "in"]]
    result = lightwork("run", "-a", "a 'b c'", echo, "{2}-{1}", "{}", cwd=tmp_path)
    assert words(result) == [["b c-a", "a 'b c'"]]


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no UTF-8")
def test_bytes_that_are_no_text_arrive(tmp_path):
    program = script(tmp_path / "raw", "import os, sys\nos.write(1, os.fsencode(sys.argv[1]))\n")
    result = lightwork("run", "--args-from", "-", program, "{}", cwd=tmp_path, stdin=b"caf\xe9\n")
    assert (result.returncode, result.stdout) == (0, b"caf\xe9")


SLOW_FIRST = "import sys, time\ntime.sleep(float(sys.argv[1]))\nprint(sys.argv[2])\n"


def test_order_of_submission_or_as_they_end(tmp_path):
    program = script(tmp_path / "slow", SLOW_FIRST)
    given = ["-j", 2, "-a", "0.8 first", "-a", "0 second", "-a", "0 third", program]
    assert lightwork("run", *given, cwd=tmp_path).stdout.split() == [b"first", b"second", b"third"]
    assert lightwork("run", "--unordered", *given, cwd=tmp_path).stdout.split()[-1] == b"first"


# Until so many of them have been there at once, they wait for each other; each prints how many it saw.
COUNTS = """
import os, sys, time
running, slots, all_there = sys.argv[1], int(sys.argv[2]), sys.argv[1] + "-all"
mine = os.path.join(running, str(os.getpid()))
open(mine, "w").close()
end = time.monotonic() + 20
while len(os.listdir(running)) < slots and not os.path.exists(all_there) and time.monotonic() < end:
    time.sleep(0.01)
open(all_there, "w").close()
time.sleep(0.1)
print(len(os.listdir(running)))
time.sleep(0.1)
os.remove(mine)
"""


def test_slots_are_how_many_run_at_once(tmp_path):
    program = script(tmp_path / "count", COUNTS)
    for slots in (1, 3):
        running = tmp_path / f"running-{slots}"
        running.mkdir()
        given = ["--args-from", "-", "-j", slots, program]
        lines = f"{running} {slots}\n".encode() * 4
        seen = [int(line) for line in lightwork("run", *given, cwd=tmp_path, stdin=lines).stdout.split()]
        assert max(seen) == slots


def test_streams_bytes_and_stdin(tmp_path):
    body = "import os, sys\nos.write(2, b'read ')\nos.write(1, sys.stdin.buffer.read() + b'\\xff\\0')\n"
    program = script(tmp_path / "copy", body + "os.write(2, b'it\\n')\n")
    (tmp_path / "input").write_bytes(b"\x00in\n")
    result = lightwork("run", "--stdin", "input", "-a", "1", "-a", "2", program, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"\x00in\n\xff\0" * 2, b"read it\n" * 2)
    result = lightwork("run", "--stdin", "-", program, cwd=tmp_path, stdin=b"ours")
    assert result.stdout == b"ours\xff\0"
    assert lightwork("run", program, cwd=tmp_path, stdin=b"not theirs").stdout == b"\xff\0"


def test_environment(tmp_path):
    program = script(tmp_path / "show", "import os\nprint(os.environ['COLOUR'], os.environ['EMPTY'] == '')\n")
    result = lightwork("run", "--env", "COLOUR=deep blue", "--env", "EMPTY=", program, cwd=tmp_path)
    assert result.stdout == b"deep blue True\n"


def test_outputs_come_back_by_job(tmp_path):
    body = "import sys\nopen('result.txt', 'w').write(sys.argv[1])\nopen('other.tmp', 'w').close()\n"
    program = script(tmp_path / "write", body)
    given = ["--outputs", "*.txt", "-a", "one", "-a", "two", program]
    assert lightwork("run", *given, cwd=tmp_path).returncode == 0
    assert lightwork("run", "--outputs-dir", "there", *given, cwd=tmp_path).returncode == 0
    for directory in ("outputs", "there"):
        found = {
            path.relative_to(tmp_path / directory).as_posix(): path for path in (tmp_path / directory).rglob("*.*")
        }
        assert set(found) == {"1/result.txt", "2/result.txt"}
        assert found["2/result.txt"].read_text() == "two"


def test_files_lie_where_the_job_runs_with_outputs_and_stdin_too(tmp_path):
    (tmp_path / "given.txt").write_text("given")
    program = script(tmp_path / "copy", "open('made.out', 'w').write(open('given.txt').read())\n")
    given = ["-f", "given.txt", "-a", "1", "-a", "2", program]
    assert lightwork("run", "--outputs", "*.out", *given, cwd=tmp_path).returncode == 0
    found = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "outputs").rglob("*.*"))
    assert found == ["outputs/1/made.out", "outputs/2/made.out"]
    assert (tmp_path / "outputs" / "2" / "made.out").read_text() == "given"
    assert lightwork("run", "--stdin", "-", *given, cwd=tmp_path, stdin=b"x").returncode == 0


FAIL = """
import os, sys
print("out", sys.argv[1])
print("why", sys.argv[1], file=sys.stderr)
sys.stdout.flush()
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
sys.exit(int(sys.argv[1]))
"""


def test_failures_are_counted_and_told(tmp_path):
    program = script(tmp_path / "fail", FAIL)
    result = lightwork("run", "-a", "0", "-a", "3", "-a", "0", "-a", "killed", "-a", "1", program, cwd=tmp_path)
    assert result.returncode == 3
    assert result.stdout == b"out 0\nout 3\nout 0\nout killed\nout 1\n"
    told = [line for line in result.stderr.decode().splitlines() if line.startswith("error: ")]
    assert [line.split(" failed")[0] for line in told] == [
        "error: job 2 (3)",
        "error: job 4 (killed)",
        "error: job 5 (1)",
    ]
    assert told[0].endswith(" with code 3; why 3")
    assert "SIGKILL" in told[1]
    assert result.stderr.endswith(b"\n3 of 5 jobs failed\n")
    assert "Traceback" not in result.stderr.decode()
    quiet = lightwork("run", "--quiet", "-a", "3", "-a", "0", program, cwd=tmp_path)
    assert quiet.returncode == 1
    assert quiet.stderr.startswith(b"why 3\nerror: job 1 (3) failed")
    assert b"of 2 jobs" not in quiet.stderr


def test_a_file_that_is_only_here_gets_a_hint_once(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    result = lightwork("run", "-a", "notes.txt", "-a", "notes.txt", "cat", cwd=tmp_path)
    assert result.returncode == 2
    hint = b"hint: jobs do not run in this directory; send notes.txt with -f, or give its full path\n"
    assert result.stderr.count(hint) == 1
    assert lightwork("run", "-f", "notes.txt", "-a", "notes.txt", "cat", cwd=tmp_path).stdout == b"x"


def test_more_than_a_hundred_failures(tmp_path):
    result = lightwork("run", "--args-from", "-", "false", cwd=tmp_path, stdin=b"x\n" * 102)
    assert result.returncode == 101
    assert result.stderr.endswith(b"\n102 of 102 jobs failed\n")


def test_timeout(tmp_path):
    result = lightwork("run", "--timeout", "0.5", "-a", "60", "-a", "0", "sleep", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.decode().startswith("error: job 1 (60) failed")
    assert "timeout of 500 ms" in result.stderr.decode()


def test_memory(tmp_path):
    program = script(tmp_path / "eat", "import time\nx = bytearray(400 << 20)\ntime.sleep(30)\n")
    result = lightwork("run", "--memory", "100M", program, cwd=tmp_path)
    assert result.returncode == 1
    assert "memory" in result.stderr.decode().lower()


def test_output_that_is_cut_is_a_failure(tmp_path):
    program = script(tmp_path / "talk", "print('x' * 1_000_000)\n")
    assert len(lightwork("run", program, cwd=tmp_path).stdout) == 1_000_001
    result = lightwork("run", "--output-limit", "10k", program, cwd=tmp_path)
    assert result.returncode == 1
    assert "left out" in result.stderr.decode()
    assert "hint: --output-limit" in result.stderr.decode()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_below_our_output(tmp_path):
    with open("/dev/full", "wb") as full:
        command = start("run", "-a", "1", "-a", "2", "echo", cwd=tmp_path, stdout=full)
        _, talk = command.communicate(timeout=60)
    assert command.returncode == 255
    assert talk == b"error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--nonsense", "true"], "nonsense"),
        (["-a", "x"], "PROGRAM"),
        (["-a", "it's", "true"], "cannot split into words:  it's"),
        (["-j", "0", "true"], "0"),
        (["--memory", "lots", "true"], "lots"),
        (["--env", "A", "true"], "not NAME=VALUE: A"),
        (["--args-from", "nowhere.txt", "true"], "nowhere.txt"),
        (["--stdin", "nowhere.txt", "true"], "nowhere.txt"),
        (["--stdin", "-", "--args-from", "-", "true"], "not both"),
        (["-a", "a", "true", "{2}"], "no word {2}"),
        (["-f", "nowhere.txt", "true"], "nowhere.txt"),
        (["./nowhere"], "nowhere"),
        (["no-such-program-anywhere"], "no-such-program-anywhere"),
    ],
)
def test_wrong_usage(given, message, tmp_path):
    result = lightwork("run", *given, cwd=tmp_path)
    talk = result.stderr.decode()
    assert result.returncode == 2, talk
    assert result.stdout == b""
    assert talk.startswith("error: ")
    assert message in talk
    assert "\nhint: " in talk or "there is no program" in talk
    assert "Traceback" not in talk


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-n", "lab1"], "no credential"),
        (["--nodes", "192.168.3.*", "-n", "local"], "`lightwork secret --save`"),
        (["-n", "http://lab1"], "the host alone"),
        (["-n", "lab1,"], "no host"),
        (["--listen", "*:9700"], "no credential"),
        (["--listen", "nowhere at all"], "listen="),
        (["--secret-file", "nowhere.txt"], "nowhere.txt"),
        (["--certfile", "nowhere.pem"], "nowhere.pem"),
        (["--keyfile", "nowhere.key"], "certfile"),
        (["--secret-file", "phrase", "-n", "lab1"], "--weak-secret"),
    ],
)
def test_wrong_words_about_other_machines(given, message, tmp_path):
    (tmp_path / "phrase").write_text("super")
    (tmp_path / "phrase").chmod(0o600)
    quiet = {"LIGHTWORK_SECRET": "", "XDG_CONFIG_HOME": str(tmp_path)}
    result = lightwork("run", *given, "true", cwd=tmp_path, **quiet)
    talk = result.stderr.decode()
    assert result.returncode == 2, talk
    assert result.stdout == b""
    assert talk.startswith("error: ")
    assert message in talk
    assert "Traceback" not in talk


def test_this_machine_by_its_name_and_a_phrase_that_is_no_use(echo, tmp_path):
    result = lightwork("run", "-n", "local", "-a", "a b", echo, cwd=tmp_path, LIGHTWORK_SECRET="super")
    assert words(result) == [["a", "b"]]
    assert result.stderr == b""
    result = lightwork("run", "-a", "a b", echo, cwd=tmp_path, LIGHTWORK_SECRET="super")
    assert words(result) == [["a", "b"]]
    talk = result.stderr.decode()
    assert "this machine only" in talk
    assert "hint: " in talk


def test_a_bad_line_comes_after_what_went_before(echo, tmp_path):
    result = lightwork("run", "--args-from", "-", echo, cwd=tmp_path, stdin=b"good\nit's bad\nnever\n")
    assert result.returncode == 2
    assert result.stdout == b'["good"]\n'
    assert "it's bad" in result.stderr.decode()


def test_help_is_fast_and_loads_nothing(tmp_path):
    code = "import sys; sys.argv = ['lightwork', 'run', '--help']; import lightwork.cli.main as m; m.main(); "
    code += "print([n for n in ('rich', 'asyncio', 'msgspec', 'psutil') if n in sys.modules], file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True, cwd=tmp_path)
    assert result.stderr.strip() == b"[]"
    assert b"--args-from" in result.stdout
    listed = lightwork("--help", cwd=tmp_path)
    assert listed.returncode == 0
    assert b"Run a program once for each set of arguments." in listed.stdout
    assert lightwork("--version", cwd=tmp_path).stdout.startswith(b"lightwork")


def test_an_unknown_command(tmp_path):
    result = lightwork("frobnicate", cwd=tmp_path)
    assert result.returncode == 2
    assert b"frobnicate" in result.stderr
    assert b"hint: see `lightwork --help`" in result.stderr
    assert b"No such command 'statsu'. Did you mean 'status'?" in lightwork("statsu", cwd=tmp_path).stderr


@pytest.mark.skipif(not shutil.which("head"), reason="needs head")
@pytest.mark.slow
def test_many_lines_with_bounded_memory(tmp_path):
    """20,000 lines through `true`-like jobs would take a minute; what counts is that reading stops at the window."""
    read = tmp_path / "read"
    lines = f"for n in range(1_000_000):\n    print(n, flush=True)\n    open({str(read)!r}, 'w').write(str(n))\n"
    producer: Any = subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    command = start("run", "--args-from", "-", "echo", cwd=tmp_path, stdin=producer.stdout, stderr=None)
    producer.stdout.close()
    shown = [command.stdout.readline() for _ in range(300)]
    assert shown == [b"%d\n" % n for n in range(300)]
    assert int(read.read_text() or 0) < 60_000  # the window, and what two pipes hold
    command.stdout.close()
    assert command.wait(30) == 141
    producer.wait(30)
