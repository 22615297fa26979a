"""Every example as its user runs it: a process of its own, in an empty directory; and what it prints is right."""

import ast
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.nodes import new_name, node
from tests.support.schedulers import at_home, scheduler

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

SEEDS = {
    "compute.py": """
def compute(n):
    import time, socket
    time.sleep(n)
    host = socket.gethostname()
    return (host, n)

if __name__ == '__main__':
    import lightwork as dispy, random
    cluster = dispy.JobCluster(compute)
    jobs = []
    for n in range(20):
        job = cluster.submit(random.randint(5, 20))
        job.id = n
        jobs.append(job)
    # cluster.wait()
    for job in jobs:
        host, n = job()
        print('%s executed job %s at %s with %s' % (host, job.id, job.start_time, n))
        # other fields: job.stdout, job.stderr, job.exception, job.ip_addr, job.start_time, job.end_time
""",
    "divisors.py": """
def divisors(n):
    import math
    res = []
    for i in range(2, int(math.sqrt(n)) + 1):
        if n % i == 0:
            res.append(i)
    return (n, res)

if __name__ == '__main__':
    import lightwork as dispy
    cluster = dispy.JobCluster(divisors)
    jobs = []
    start = 1 + 10**13
    for n in range(start, start + 100, 2):
        jobs.append(cluster.submit(n))
    # cluster.wait()
    for job in jobs:
        n, factors = job()
        print(n, factors)
    cluster.stats()
""",
}


def python(*arguments, cwd, timeout=60):
    """What a Python process prints; it must end well and have nothing to complain of, but that it had to wait."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    given = [sys.executable, *map(str, arguments)]
    result = subprocess.run(
        given, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert result.returncode == 0, result.stderr
    assert re.sub(r"^lightwork: waiting for .*\n(  .*\n)*", "", result.stderr, flags=re.MULTILINE) == ""
    return result.stdout


def example(name, *arguments, cwd, timeout=60):
    """What an example prints."""
    return python(EXAMPLES / name, *arguments, cwd=cwd, timeout=timeout)


def found(pattern, text):
    """The groups of a pattern that must be somewhere in the text."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"{pattern} is not in:\n{text}"
    return match.groups()


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_programs_are_as_printed(name):
    program = ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))
    assert ast.dump(ast.Module(program.body[1:], [])) == ast.dump(ast.parse(SEEDS[name]))


def check_compute(shown):
    rows = [found(r"^\S+ executed job (\d+) at ([\d.]+) with (\S+)$", line) for line in shown.splitlines()]
    assert [int(job) for job, _, _ in rows] == list(range(20))
    assert all(float(start) > 1.6e9 for _, start, _ in rows)
    return [float(seconds) for _, _, seconds in rows]


def test_compute(tmp_path):
    """As printed, but that the clock of `random.randint(5, 20)` runs a hundred times faster."""
    code = f"""
import random, runpy
whole = random.randint
random.randint = lambda low, high: whole(low, high) / 100
runpy.run_path({str(EXAMPLES / "compute.py")!r}, run_name="__main__")
"""
    seconds = check_compute(python("-c", code, cwd=tmp_path))
    assert all(0.05 <= second <= 0.2 for second in seconds)


@pytest.mark.soak
def test_compute_as_it_is(tmp_path):
    seconds = check_compute(example("compute.py", cwd=tmp_path, timeout=600))
    assert all(5 <= second <= 20 for second in seconds)


@pytest.mark.slow
def test_divisors(tmp_path):
    shown = example("divisors.py", cwd=tmp_path).splitlines()
    start = 1 + 10**13
    for line, number in zip(shown, range(start, start + 100, 2), strict=False):
        shown_number, _, factors = line.partition(" ")
        assert int(shown_number) == number
        divisors = ast.literal_eval(factors)
        assert all(number % divisor == 0 for divisor in divisors)
        assert divisors[:1] == smallest_divisor(number)
    table = "\n".join(shown[50:])
    found(r"^Node .*Jobs", table)
    found(r"\b50\b", table)


def smallest_divisor(number):
    return next(([i] for i in range(3, math.isqrt(number) + 1, 2) if number % i == 0), [])


def test_stdlib_index_of_some_files(tmp_path):
    shown = example("stdlib_index.py", "--limit", 60, "--check", "--find", "ABCMeta", cwd=tmp_path)
    found(r"^\d{4,} identifiers in 60 files", shown)
    found(r"^abc\.py: \d+", shown)
    assert "equal to the serial index" in shown


@pytest.mark.slow
def test_stdlib_index(tmp_path):
    shown = example("stdlib_index.py", "--check", cwd=tmp_path, timeout=300)
    (files,) = found(r"^\d{5,} identifiers in (\d+) files", shown)
    assert int(files) > 500
    found(r"^ +\d{5,} self$", shown)
    assert "equal to the serial index" in shown


def test_program_over_files(tmp_path):
    shown = example("program_over_files.py", 30, "there", cwd=tmp_path)
    (definitions,) = found(r"^30 files, 0 failed, 30 outlines in there, (\d+) definitions$", shown)
    written = sorted((tmp_path / "there").glob("*/*.outline"))
    assert len(written) == 30
    assert sum(len(path.read_text().splitlines()) for path in written) == int(definitions) > 100
    assert any("class ABC  (line" in path.read_text() for path in written if path.name == "abc.outline")


def test_provisional_results_and_cancel(tmp_path):
    shown = example("provisional.py", "0.01", cwd=tmp_path)
    assert "good enough" in shown
    pi, error, darts = found(r"^pi is ([\d.]+) \+- ([\d.]+) after (\d+) darts$", shown)
    assert float(error) <= 0.01
    assert abs(float(pi) - math.pi) < 4 * float(error)
    assert int(darts) >= 1000
    assert "FINISHED" in shown.splitlines()[-1]


def test_in_memory(tmp_path):
    shown = example("in_memory.py", "socket", "deprecated", "no_such_word_anywhere", cwd=tmp_path)
    found(r"^socket: \d+ files \w+\.py ", shown)
    found(r"^no_such_word_anywhere: 0 files $", shown)
    jobs, workers, read = map(int, found(r"(\d+) jobs in (\d+) workers; .* (\d+) time", shown))
    assert jobs == 3
    assert read == (1 if hasattr(os, "fork") else workers)


def test_producer(tmp_path):
    shown = example("producer.py", "1e-6", cwd=tmp_path)
    value, exact, pieces = found(r"integral ([\d.]+), exactly ([\d.]+), (\d+) pieces", shown)
    assert abs(float(value) - float(exact)) < 1e-6
    assert int(pieces) > 10


def test_many_functions(tmp_path):
    (tmp_path / "some.txt").write_text("one\na longer line\n")
    shown = example("many_functions.py", "some.txt", cwd=tmp_path)
    found(r"^some.txt: 2 lines, xz \d+ %, [0-9a-f]{32}\n    a longer line$", shown)
    assert example("many_functions.py", cwd=tmp_path).count(" lines, xz ") == 5


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """The address of a scheduler with two nodes: two licences, and a GPU each."""
    with at_home(tmp_path_factory.mktemp("farm")) as home:
        with scheduler(home, "--state", home.state, "--resource", "licence=2") as one:
            address, given = one.place().address, home.environment()
            joining = "--join", address, "--slots", 2, "--resource", "gpu=1"
            with node(home.path, *joining, name=f"{new_name()}-1", **given) as first:
                with node(home.path, *joining, name=f"{new_name()}-2", **given) as second:
                    for each in (first, second):
                        one.says(f"node {each.name} is there")
                    yield address


def shared_example(name, farm, path):
    """What it prints; it may say what happens to nodes, and that a job has failed that was to fail."""
    given = {**os.environ, "XDG_STATE_HOME": str(path)}
    command = [sys.executable, str(EXAMPLES / name), farm]
    result = subprocess.run(command, cwd=path, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    talk = [line for line in result.stderr.splitlines() if not re.match(r"lightwork: (node|1 of 10 jobs failed)", line)]
    assert talk == []
    return result.stdout


@pytest.mark.slow
def test_render_farm(tmp_path, farm):
    shown = shared_example("render_farm.py", farm, tmp_path)
    at_once, gpus = found(r"^8 frames, at most (\d) at once, on GPUs (.*)$", shown)
    assert 1 <= int(at_once) <= 2
    assert {gpu.rpartition("-")[2] for gpu in gpus.split()} <= {"1/0", "2/0"}
    assert "8 frames joined" in shown
    assert "frame 99: no node could ever run it: it asks for 64 gpu" in shown


@pytest.mark.slow
def test_school_lab(tmp_path, farm):
    shown = shared_example("school_lab.py", farm, tmp_path)
    first, last = found(r"^machines: (\S+) (\S+)$", shown)
    found(f"^front row only: {first}$", shown)
    found(f"^without {last}: {first}$", shown)
    found(f"^ .*{last}.* drained", shown)
    found(f"^and with it: {last}$", shown)
    found(r"^where: grop is no name$", shown)


@pytest.mark.slow
def test_nightly(tmp_path, farm):
    shown = shared_example("nightly.py", farm, tmp_path)
    (behind,) = found(r"^30 nightly jobs, 4 by day; (\d+) nightly ones had to wait for these$", shown)
    assert int(behind) >= 10


def test_every_example_is_listed_and_tested():
    listed = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    tested = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f"`{path.name}`" in listed
        assert f'"{path.name}"' in tested or path.name == "outline.py"
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
