"""Computations that go as source, in real workers of other interpreters where nothing is installed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightwork.model.errors import RemoteTraceback, ResultCannotTravel
from lightwork.payload.arguments import pack_job
from lightwork.payload.computation import PAYLOADS, SOURCE, pack_computation
from lightwork.payload.jobfiles import pack_job_files
from lightwork.payload.source import setup_source
from lightwork.wire import channel as ch, outcome as oc
from tests.house.helpers import ROOT, interpreter
from tests.payload.table import failures
from tests.worker import crossing_classes, crossing_corners, crossing_functions, crossing_jobs
from tests.worker.agent_double import function_payload
from tests.worker.other_pythons import VERSIONS, LoadFailed, Machine, load_fields, machine, opened

HERE = Path(__file__).parent
OURS = "%d.%d" % sys.version_info[:2]
TABLES = {"functions": crossing_functions, "classes": crossing_classes, "corners": crossing_corners}
PROGRAMS = {name: HERE / f"crossing_{name}.py" for name in TABLES}
ELSEWHERE = [version for version in VERSIONS if version != OURS]
ENDS = [ELSEWHERE[0], ELSEWHERE[-1]]


@pytest.fixture(scope="module", params=ENDS)
def other(request: pytest.FixtureRequest) -> Iterator[Machine]:
    try:
        with machine(request.param) as made:
            yield made
    except LookupError as error:
        pytest.skip(str(error))


def python(program: Path | str, version: str, *argv: str, client: str = sys.executable, cwd: Path | None = None) -> str:
    """Run a program of a user's, whose jobs run under another version; what it printed."""
    if interpreter(version) is None:
        pytest.skip(f"no Python {version} on this machine")
    environment = {
        **os.environ,
        "LIGHTWORK_TEST_RUN": "tests.worker.other_pythons",
        "LIGHTWORK_TEST_PYTHON": version,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    command = [client, *argv, str(program)] if isinstance(program, Path) else [client, *argv]
    text = "" if isinstance(program, Path) else program
    done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=100, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- the tables


@pytest.mark.parametrize("version", ELSEWHERE)
@pytest.mark.parametrize("name", PROGRAMS)
def test_all_that_a_program_has(name: str, version: str):
    count = len(TABLES[name].kinds())
    assert python(PROGRAMS[name], version) == f"{count} of {count} kinds\n"


def test_all_that_a_module_has(other: Machine):
    """By name, but for closures and lambdas, whose globals are then the module's own over there."""
    assert failures(other.run, crossing_classes.kinds()) == []
    assert failures(other.run, crossing_corners.kinds()) == []


@pytest.mark.parametrize("version", ENDS)
def test_the_table_of_kinds(version: str):
    """What our own version runs by value; each exception with its sentence."""
    *lines, _ = python(ROOT / "tests" / "payload" / "kinds.py", version).splitlines()
    arguments = "CannotTravel: the arguments of the job hold functions or classes that the program made"
    expected = ["function from exec: CannotTravel: function typed_in was made by exec; its source is not available"]
    if version in ("3.8", "3.9"):
        slots = f"LoadFailed: SourceError: class SlottedPoint cannot be made under Python {version}: TypeError: "
        slots += "dataclass() got an unexpected keyword argument 'slots'"
        expected += [f"dataclass with slots: {slots}", f"method of a dataclass with slots: {slots}"]
    assert lines == [*expected, f"function as argument: {arguments}", f"lambda as argument: {arguments}"]


def clients() -> list[str]:
    """Other interpreters that have what a client needs."""
    needed = "import msgspec, cloudpickle, sys; sys.exit(sys.version_info < (3, 11))"
    found = [path for version in ("3.12", "3.13", "3.14") if version != OURS and (path := interpreter(version))]
    return [path for path in found if subprocess.run([path, "-c", needed], capture_output=True).returncode == 0]


@pytest.mark.parametrize("version", ["3.8", OURS])
@pytest.mark.parametrize("name", PROGRAMS)
def test_from_a_newer_client(name: str, version: str):
    found = clients()
    if not found:
        pytest.skip("no other Python with msgspec and cloudpickle on this machine")
    for client in found:
        count = len(TABLES[name].kinds())
        assert python(PROGRAMS[name], version, client=client) == f"{count} of {count} kinds\n"


# --- programs without a file


CELLS = """
import linecache, sys
from tests.worker.other_pythons import run
def cell(number, text):
    name = "<cell %d>" % number
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), globals())
cell(1, "import dataclasses\\n@dataclasses.dataclass\\nclass Box:\\n    n: int = 1\\n")
cell(2, "def use(box):\\n    return Box(box.n + 1), factor\\nfactor = 6\\n")
print(run(use, (Box(3),)))
old = Box(5)
cell(3, "@dataclasses.dataclass\\nclass Box:\\n    n: int = 1\\n    m: int = 2\\n")
cell(4, "def use(box):\\n    return Box(box.n), 1 / box.m\\n")
print(run(use, (Box(3),)))
print(run(lambda box: box.n, (old,)))
try:
    run(use, (Box(1, 0),))
except ZeroDivisionError as error:
    print("1 / box.m" in str(error.__cause__), "<cell 4>" in str(error.__cause__))
"""


def test_cells_of_a_notebook():
    """Their text is in linecache; what is defined twice is what it was when it was used."""
    out = python(CELLS.replace("print(run(lambda box: box.n, (old,)))\n", ""), "3.8", "-")
    assert out == "(Box(n=4), 6)\n(Box(n=3, m=2), 0.5)\nTrue True\n"


def test_what_is_typed_at_a_prompt_says_so():
    if sys.version_info >= (3, 13):
        pytest.skip("this prompt keeps its lines")
    typed = "from tests.worker.other_pythons import run\ndef work(n):\n    return n\n\ntry: run(work, (1,))\n"
    out = python(typed + "except Exception as error: print(error)\n\n", "3.8", "-i")
    assert "function work was typed at a prompt, or came from standard input; its source is not available" in out


def test_a_program_of_a_package(tmp_path: Path):
    """Relative imports inside of its functions find the package over there."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "prices.py").write_text("APPLE = 3\nclass Fruit:\n    price = APPLE\n")
    (package / "program.py").write_text(
        "from tests.worker.other_pythons import run\n"
        "from .prices import Fruit\n"
        "class Sweet(Fruit):\n    def total(self, n):\n        from . import prices\n"
        "        return n * prices.APPLE + self.price\n"
        "if __name__ == '__main__':\n    print(run(Sweet().total, (2,)))\n"
    )
    assert python("", "3.8", "-m", "shop.program", cwd=tmp_path) == "9\n"


# --- what goes wrong


def test_own_errors_come_back_as_they_are(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import linecache, os\n"
        "from tests.worker.other_pythons import run\n"
        "class Broken(Exception):\n"
        "    def __init__(self, code, text):\n        super().__init__(code, text)\n        self.code = code\n\n"
        "def work(n):\n"
        "    if n:\n"
        "        raise Broken(n, 'here')  # the line that fails\n\n"
        "linecache.getlines(__file__)\n"
        "os.unlink(__file__)  # as if the workers were on another machine\n"
        "try:\n    run(work, (7,))\n"
        "except Broken as error:\n    print(error.code, error.args)\n    print(error.__cause__)\n"
    )
    out = python(program, "3.8")
    assert out.startswith("7 (7, 'here')\n")
    assert f"File \"{program}\", line 10, in work\n    raise Broken(n, 'here')  # the line that fails\n" in out


def test_errors_of_local_classes_are_told(other: Machine):
    end = _end(other, crossing_jobs.raises_local)
    assert type(end.error).__name__ == "RemoteError"
    assert "Hidden: 3" in str(end.error)
    assert isinstance(end.error.__cause__, RemoteTraceback)
    assert "raise Hidden(n)" in str(end.error.__cause__)


def _end(other: Machine, call: Any, *args: Any, **options: Any) -> Any:
    packed, payload = pack_job(pack_computation(call, source=True), args, {})
    worker = other.loaded(packed)
    (token,) = worker.run([payload if isinstance(payload, bytes) else payload.to_bytes()], options)
    return opened(worker.end(token))


def test_syntax_that_is_too_new(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "from tests.worker.other_pythons import run, LoadFailed\n"
        "def work(command):\n"
        "    match command:\n"
        "        case [first, *_]: return first\n"
        "try:\n    run(work, ([1],))\nexcept LoadFailed as error:\n    print(error.fields['message'])\n"
    )
    out = python(program, "3.8")
    assert out == f"the source needs a newer Python than 3.8: line 3 of {program}: match command:\n"


def test_syntax_of_a_module_that_is_too_new(tmp_path: Path):
    (tmp_path / "modern.py").write_text("def work(n):\n    match n:\n        case 1: return 2\n")
    (tmp_path / "program.py").write_text(
        "import modern\nfrom tests.worker.other_pythons import run, LoadFailed\n"
        "try:\n    run(modern.work, (1,))\nexcept LoadFailed as error:\n    print(error.fields['message'])\n"
    )
    out = python(tmp_path / "program.py", "3.8")
    assert out.startswith("the source needs a newer Python than 3.8: line 2 of ")
    assert out.endswith("modern.py: match n:\n")


def test_what_an_old_library_lacks(tmp_path: Path):
    (tmp_path / "program.py").write_text(
        "import dataclasses\nfrom tests.worker.other_pythons import run, LoadFailed\n"
        "@dataclasses.dataclass(kw_only=True)\nclass Point:\n    x: int\n"
        "def work(n):\n    return Point(x=n).x\n"
        "try:\n    print(run(work, (1,)))\nexcept LoadFailed as error:\n    print(error.fields['message'])\n"
    )
    assert python(tmp_path / "program.py", "3.8") == (
        "class Point cannot be made under Python 3.8: TypeError: "
        "dataclass() got an unexpected keyword argument 'kw_only'\n"
    )


def test_bytecode_is_refused(other: Machine):
    """Whoever sends it: a computation, names for single jobs, arguments."""
    both = f"{OURS}, and this worker runs Python {other.version}"
    packed = pack_computation(len, source=True)
    worker = other.loaded(packed)
    code = function_payload(lambda n: n)
    frame = worker.load(None, slot=2, python=OURS.encode(), payload=code)
    assert frame.kind == ch.LOAD_FAILED
    message = oc.decode_fields(frame.body)["message"].decode()
    assert message == f"the computation holds bytecode of Python {OURS}, this worker runs {other.version}"
    (token,) = worker.run([code])
    end = worker.end(token)
    assert (end.kind, end.failure["type"]) == (oc.NOT_RUN, "WrongPython")
    assert both in end.failure["message"]
    end = worker.call([1], options={"injected": code})
    assert (end.kind, end.failure["type"]) == (oc.NOT_RUN, "WrongPython")
    assert worker.call([1, 2]).value == 2


@pytest.mark.parametrize("kind", ["lambda", "class"])
def test_code_does_not_come_back(other: Machine, kind: str):
    end = _end(other, crossing_jobs.gives, kind)
    assert isinstance(end.error, ResultCannotTravel)
    assert f"made by the job under Python {other.version}, and the program runs Python {OURS}" in str(end.error)
    assert end.error.hint.startswith("return plain data")
    assert _end(other, crossing_jobs.gives, "data").value == [{"a": (1, 2.5, b"x", None)}]


# --- setup, depends and all that


@pytest.fixture
def parts() -> dict[str, Any]:
    """The functions of crossing_jobs, as those of a program."""
    path = str(HERE / "crossing_jobs.py")
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": path}
    exec(compile(Path(path).read_text(), path, "exec"), namespace)
    return namespace


def test_setup_and_cleanup(other: Machine, parts: dict[str, Any]):
    """What setup makes global, jobs see; also those of a computation that comes later, and has its own copy of it."""
    packed = pack_computation(parts["use"], setup=parts["prepare"], setup_args=(5,), cleanup=parts["tidy"], source=True)
    worker = other.loaded(packed, {"run_setup": b"1"})
    assert worker.call(1).value == (1, 5, 5, 10)
    second = pack_computation(parts["also"], base=packed, source=True)
    assert second.wire.environment == packed.wire.environment
    worker.load(None, slot=2, fields=load_fields(second, other.place(second)))
    assert worker.call(2, slot=2).value == (2, 5, 5)
    worker.send(ch.CLEANUP, slot=1)
    assert worker.expect(ch.CLEANED).body == b""


def test_a_setup_for_this_node(other: Machine, parts: dict[str, Any]):
    def packed(value: int) -> Any:
        return pack_computation(parts["use"], setup=parts["prepare"], setup_args=(value,), source=True)

    own = {"setup_source": setup_source(packed(8)), "run_setup": b"1"}
    assert other.loaded(packed(5), own).call(1).value == (1, 8, 8, 16)
    lambda_made_by_exec = eval("lambda value: value")
    refused = pack_computation(parts["use"], setup=lambda_made_by_exec, setup_args=(1,), source=True)
    with pytest.raises(LoadFailed, match=r"made by exec.* this worker runs Python 3\.\d+, the program Python 3"):
        other.loaded(packed(5), {"setup_source": setup_source(refused)})


def test_a_setup_that_fails_says_where(other: Machine, parts: dict[str, Any]):
    packed = pack_computation(parts["use"], setup=parts["prepare"], setup_args=("a",), source=True)
    with pytest.raises(LoadFailed) as caught:
        other.loaded(packed, {"run_setup": b"1"})
    assert caught.value.fields["during"] == "setup"
    assert 'TABLE["n"] = value + more' in caught.value.fields["traceback"]


def test_names_for_the_jobs(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from lightwork.payload.computation import pack_computation\n"
        "from lightwork.payload.jobfiles import pack_job_files\n"
        "from lightwork.wire import outcome as oc\n"
        "from tests.worker.other_pythons import machine\n"
        "BASE = 10\n"
        "def helper(n):\n    return n + BASE\n"
        "class Box:\n    def __init__(self, n):\n        self.n = helper(n)\n"
        "def init_depends():\n    global ready\n    ready = 'ready'\n"
        "def work(n):\n    return tool(n).n, made(1), ready\n"
        "def tool(n):\n    return Box(n)\n"
        "def made(n):\n    return -n\n"
        "namespace = {'__name__': '__main__', '__file__': __file__}\n"
        "packed = pack_computation(work, depends=[tool, init_depends], source=True)\n"
        "own = pack_job_files([made], packed)\n"
        "assert not own.pinned, own.pinned\n"
        "with machine(os.environ['LIGHTWORK_TEST_PYTHON']) as other:\n"
        "    worker = other.loaded(packed)\n"
        "    print(worker.call(1, options={'injected': own.injected}).value)\n"
    )
    assert python(program, "3.8") == "(11, -1, 'ready')\n"


def test_names_that_cannot_go_as_source_are_for_our_own_version():
    packed = pack_computation(len, source=True)
    own = pack_job_files([eval("lambda n: n")], packed)
    assert own.pinned == "the lambda in line 1 of <string> was made by exec; its source is not available"
    assert own.injected.startswith(b"\x80")
    assert pack_job_files([eval("lambda n: n")]).pinned == ""


# --- sizes


def test_large_source_and_large_arguments(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom tests.worker.other_pythons import run\n"
        "WORDS = ['%06d' % n for n in range(100_000)]\n"
        "class Box:\n    def __init__(self, data):\n        self.data = data\n"
        "def work(box, data):\n    data[0] = 1\n    return type(box).__name__, len(box.data), len(data), len(WORDS)\n"
        "print(run(work, (Box(b'x' * 300_000), bytearray(500_000))))\n"
    )
    assert python(program, "3.8") == "('Box', 300000, 500000, 100000)\n"


def test_a_large_source_is_a_file():
    words = ["%06d" % n for n in range(100_000)]
    packed = pack_computation(lambda: len(words), source=True)
    (payload, source) = [file.path for file in packed.wire.files if file.path.startswith(PAYLOADS)]
    assert not payload.endswith(SOURCE)
    assert source.endswith(SOURCE)
    assert (packed.wire.payload, packed.wire.source, packed.wire.untravellable) == (b"", b"", "")
    assert pickle.loads(pickle.dumps(packed.wire.untravellable)) == ""


# --- all kinds of workers


def test_a_template_sets_up_once(tmp_path: Path, parts: dict[str, Any]):
    from tests.worker.agent_double import keeper

    path = interpreter("3.8")
    if path is None:
        pytest.skip("no Python 3.8 on this machine")
    packed = pack_computation(parts["use"], setup=parts["prepare"], setup_args=(5,), source=True)
    with keeper(tmp_path, path) as made:
        fields: Any = load_fields(packed, tmp_path)
        template = made.template(None, **fields)
        template.expect(ch.TEMPLATE_READY)
        assert [template.worker().call(n).value for n in (1, 2)] == [(1, 5, 5, 10), (2, 5, 5, 10)]
        template.close()
