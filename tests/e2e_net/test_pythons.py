"""Programs of one version of Python, nodes with others: source goes there, and bytecode never."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e_net import node_under
from tests.e2e_net.farm import Client, Farm
from tests.house.helpers import interpreter
from tests.node.versions import here
from tests.payload import kinds
from tests.support.lab_host import Program

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OURS = sys.version_info[:2]
LIMIT_S = 120.0
OLDEST, NEWEST = (3, 8), (3, 13)

# Loaded by every interpreter of such a node. Where code objects come from but a compiler: files in __pycache__ (tells
# Python 3.8 alone), types.coroutine, and pickles, of which there must be none.
GUARD = """
import sys

def guard(event, args):
    if event == "code.__new__":
        caller = sys._getframe(1).f_code.co_filename
        if not caller.endswith(("types.py", "importlib._bootstrap_external>")):
            raise RuntimeError("bytecode came to Python %d.%d" % sys.version_info[:2])

if sys.version_info[:2] != VERSION:
    sys.addaudithook(guard)
""".replace("VERSION", repr(tuple(OURS)))


def text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def others() -> list[tuple[int, int]]:
    """The versions of this machine, but ours."""
    return sorted(one.version for one in here()[1:] if OLDEST <= one.version <= NEWEST)


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    with Farm("client", "a") as farm:
        yield farm


@pytest.fixture(scope="module")
def places(farm: Farm) -> dict[tuple[int, int], str]:
    """A node for each version, offering it alone: what to write in nodes=."""
    if len(here()) < 2:
        pytest.skip("no other version of Python on this machine")
    host = farm["a"]
    (host.home / "guard").mkdir()
    (host.home / "guard" / "sitecustomize.py").write_text(GUARD)
    env = farm.environment(None, {"PYTHONPATH": str(host.home / "guard")})
    started = {}
    for place, one in enumerate(here()):
        options = ["--name", f"py{text(one.version)}", "--slots", "1", "--listen", f"{host.address}:{9701 + place}"]
        program = host.python(node_under.__file__, one.path, text(one.version), *options, env=env)
        started[one.version] = program, f"a:{9701 + place}"
    for program, _ in started.values():
        program.wait_for("listens")
    return {version: place for version, (_, place) in started.items()}


def run_kinds(farm: Farm, place: str, names: list[str], python: str = sys.executable, path: str = "") -> Program:
    """`python kinds.py NAME...` with one of those nodes."""
    told = {"LIGHTWORK_TEST_NODES": place, "PYTHONPATH": f"{ROOT}:{path}", "LIGHTWORK_TEST_RUN": "tests.e2e_net.far"}
    return farm["client"].start([python, kinds.__file__, *names], env=farm.environment(None, told), cwd=ROOT)


STAYS = ["function from exec", "function as argument", "lambda as argument"]
GO = [kind.name for kind in kinds.kinds() if kind.name not in STAYS]
NEWER = ["dataclass with slots", "method of a dataclass with slots"]  # what Python 3.10 brought


def test_all_kinds_go_as_source(farm: Farm, places: dict[tuple[int, int], str]) -> None:
    running = []
    for version in others():
        wanted = [name for name in GO if version >= (3, 10) or name not in NEWER]
        running.append((version, len(wanted), run_kinds(farm, places[version], wanted)))
    for version, count, program in running:
        assert program.wait(LIMIT_S) == 0, program.err
        assert program.out.splitlines() == [f"{count} of {count} kinds"], text(version) + program.out


def test_what_has_no_source_is_refused_with_both_versions(farm: Farm, places: dict[tuple[int, int], str]) -> None:
    version = others()[0]
    program = run_kinds(farm, places[version], ["plain function", *STAYS])  # the first waits until the node is there
    assert program.wait(LIMIT_S) == 0, program.err
    refusals = [line for line in program.out.splitlines() if "CannotTravel" in line]
    assert [line.partition(":")[0] for line in refusals] == STAYS, program.out
    assert all(f"this is Python {text(OURS)}, the nodes have {text(version)}" in line for line in refusals), refusals


STORY = """
import dataclasses, functools

FACTOR = 7
history = []

class Unit:
    scale = FACTOR

    def __init__(self, n):
        self.n = n

    @property
    def scaled(self):
        return self.n * self.scale

class Deep(Unit):
    @property
    def scaled(self):
        return super().scaled + 1

@dataclasses.dataclass
class Point:
    x: int
    y: int = 2

class Wrong(ValueError):
    def __init__(self, n, where):
        super().__init__(n, where)
        self.n = n

def adder(k):
    def add(n):
        return n + k
    return add

add = adder(FACTOR)

def helper(n):
    return [Deep(m).scaled for m in range(n)]

def load(start):
    global table
    table = {"start": start}
    return sys.version_info[0] * 100 + sys.version_info[1]

def leave(start):
    with open(os.path.expanduser("~/left"), "a") as file:
        file.write("%d.%d %d %s\\n" % (*sys.version_info[:2], start, table["start"]))

def story(n, point=Point(1), *, shift=0):
    print("heard", n)
    history.append(n)
    point.x += shift
    return sys.version_info[:2], lightwork.node_value(), table["start"], helper(n), add(n), point, len(history)

def fail(n):
    raise Wrong(n, "there")  # the line

def forge():
    code = compile("1", "forged", "eval")
    return eval(code.replace(co_name="forged"))

def make():
    return lambda: 1

if __name__ == "__main__":
    places = sys.argv[1].split(",")
    options = dict(setup=load, setup_args=(5,), cleanup=leave)
    with lightwork.JobCluster(story, nodes=places, **options) as cluster:
        while len(cluster.nodes) < len(places):
            time.sleep(0.02)
        told = {}
        for name in sorted(node.name for node in cluster.nodes):
            at = lambda function, *args: cluster.options(computation=function, node=name).submit(*args)
            jobs = [cluster.options(node=name).submit(3, Point(4), shift=k) for k in range(2)]
            values, wrong, forged, made = [job.get() for job in jobs], at(fail, 3), at(forge), at(make)
            for job in (wrong, forged, made):
                job()
            try:
                wrong.get()
            except Wrong as error:
                caught = [error.n, str(error.__cause__)]
            points = [value[5] for value in values]
            assert points == [Point(4), Point(5)] and type(points[0]) is Point, points
            errors = forged.exception, made.exception
            told[name] = [value[:5] + value[6:] for value in values], jobs[0].stdout, caught, errors
    say(told=told)
"""


def test_one_cluster_with_all_versions(farm: Farm, places: dict[tuple[int, int], str]) -> None:
    """Classes, closures, globals, setup and cleanup, own exceptions with their source lines."""
    client = farm.client("client", STORY, ",".join(places.values()))
    client.wait(LIMIT_S)
    told = client.get("told")
    assert sorted(told) == sorted(f"py{text(version)}" for version in places)
    for version in places:
        values, stdout, (number, trace), (forged, made) = told[f"py{text(version)}"]
        value = [list(version), 100 * version[0] + version[1], 5, [1, 8, 15], 10]
        assert values == [[*value, 1], [*value, 2]]
        assert stdout == "heard 3\n"
        assert number == 3 and 'raise Wrong(n, "there")  # the line' in trace
        if version != OURS:
            assert f"bytecode came to Python {text(version)}" in forged, "the guard would have seen it"
            assert "only plain data travels" in made
    left = (farm["a"].home / "left").read_text().splitlines()
    assert sorted(left) == sorted(f"{text(version)} 5 5" for version in places)


WHERE = """
def where(n):
    return sys.version_info[:2], n + 1

if __name__ == "__main__":
    with lightwork.JobCluster(where, nodes=sys.argv[1].split(",")) as cluster:
        while len(cluster.nodes) < 3:
            time.sleep(0.02)
        found = {node.name: cluster.submit_node(node, 1).get() for node in cluster.nodes}
        odd = cluster.options(computation=eval("lambda: 5"))
        try:
            say(odd=odd.submit().get(), found=found)
        except lightwork.CannotTravel as error:
            say(odd=str(error), found=found)
"""


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The newest version, and a PYTHONPATH with which our own programs run under it."""
    path = interpreter(text(NEWEST))
    if path is None or NEWEST == OURS:
        pytest.skip(f"no other Python {text(NEWEST)} on this machine")
    site = tmp_path_factory.mktemp("site")
    needed = ["click", "cloudpickle", "cryptography", "msgspec", "platformdirs", "psutil", "rich"]
    pip = [path, "-m", "pip", "install", "--quiet", "--target", str(site), "--constraint", "constraints.txt", *needed]
    done = subprocess.run(pip, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return path, f"{ROOT / 'src'}:{site}"


def test_our_own_programs_under_another_version(newest: tuple[str, str]) -> None:
    """Client and scheduler, or a node: each is of the older or of the newer version."""
    path, site = newest
    with Farm("client", "a", visible=[Path(site.split(":")[1])]) as farm:
        under = [sys.executable, node_under.__file__, sys.executable, text(OURS)]  # finds none of the newer
        old = farm["a"].start([*under, "--name", "old", "--slots", "1"], env=farm.environment(None, None))
        old.wait_for("listens")
        farm.node("a", "--name", "both", "--slots", "1", "--python", path)
        command = [path, node_under.__file__, path, text(NEWEST), "--name", "new", "--slots", "1"]
        newer = farm.environment(None, {"PYTHONPATH": site})
        farm["a"].start(command, env=newer).wait_for("listens")
        places = "a:9701,a:9702,a:9703"
        client = farm.client("client", WHERE, places)
        client.wait(LIMIT_S)
        assert client.get("found") == {"old": [[*OURS], 2], "both": [[*OURS], 2], "new": [[*NEWEST], 2]}
        assert client.get("odd") == 5
        script = farm["client"].work / "script1.py"
        client = Client(farm["client"].start([path, script, places], env=newer))
        client.wait(LIMIT_S)
        assert client.get("found") == {"old": [[*OURS], 2], "both": [[*NEWEST], 2], "new": [[*NEWEST], 2]}
        assert client.get("odd") == 5
        program = run_kinds(farm, "a:9701", GO, path, site)
        assert program.wait(LIMIT_S) == 0, program.err
        assert program.out.splitlines() == [f"{len(GO)} of {len(GO)} kinds"], program.out
