"""The source form: what it is made of, what cannot go that way and why, and what is said to whom."""

from __future__ import annotations

import ast
import functools
import importlib.util
import linecache
import py_compile
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings, strategies as st

from lightwork.model.errors import CannotTravel
from lightwork.payload.arguments import pack_job
from lightwork.payload.computation import (
    NOT_ASKED,
    PAYLOADS,
    SOURCE,
    PackedComputation,
    for_own_version,
    pack_computation,
    payload_of,
)
from lightwork.payload.cutting import NoSource, cut_function
from lightwork.payload.source import check_interpreters
from lightwork.wire.outcome import decode_fields
from lightwork.worker.source import Compiler, closure_of
from tests.payload.kinds import Point, make_closure, plain

OURS = "%d.%d" % sys.version_info[:2]


def loaded(tmp_path: Path, text: str, name: str = "__main__") -> dict[str, Any]:
    """The globals of a program of a user's."""
    path = tmp_path / "job.py"
    path.write_text(text)
    linecache.checkcache(str(path))
    namespace: dict[str, Any] = {"__name__": name, "__file__": str(path)}
    exec(compile(text, str(path), "exec"), namespace)
    return namespace


def packed(computation: Any, **options: Any) -> PackedComputation:
    return pack_computation(computation, source=True, **options)


def reason(computation: Any, **options: Any) -> str:
    """Why it cannot go as source."""
    made = packed(computation, **options)
    assert made.wire.untravellable
    assert made.wire.source == b""
    return made.wire.untravellable


# --- what goes


def test_envelope_has_parts_of_text():
    wire = packed(make_closure(4), setup=plain, setup_args=(1,), cleanup=plain).wire
    fields = decode_fields(wire.source)
    assert list(fields) == ["python", "setup", "cleanup", "call"]
    assert fields["python"].decode() == OURS
    assert b"return n + k" in fields["call"]
    assert (wire.untravellable, wire.python) == ("", sys.version_info[:2])


def test_no_bytecode_and_no_cloudpickle_in_it(tmp_path: Path):
    names = loaded(
        tmp_path, "class Box:\n    def get(self): return 3\ndef work(n=Box()):\n    return lambda: n.get()\n"
    )
    data = decode_fields(packed(functools.partial(names["work"], names["Box"]())).wire.source)["call"]
    for word in (b"_make_function", b"_make_skeleton_class", b"CodeType", b"cloudpickle"):
        assert word not in data


def test_it_is_made_only_if_asked_for():
    made = pack_computation(make_closure(4))
    assert (made.wire.source, made.wire.untravellable, made.form) == (b"", NOT_ASKED, None)
    assert pack_computation("sh").wire.python == (0, 0)
    assert packed("sh").wire.untravellable == ""


def test_nothing_is_imported_for_it_unless_asked():
    code = (
        "import sys\nfrom lightwork.payload.computation import pack_computation\npack_computation(len)\n"
        "print('lightwork.payload.source' in sys.modules, 'ast' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split()[0] == "False", done.stderr


def test_classes_of_arguments_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = loaded(tmp_path, "class Box:\n    def __init__(self, n):\n        self.n = n\n")
    monkeypatch.setattr(sys.modules["__main__"], "Box", names["Box"], raising=False)
    narrow = packed(plain)
    wider, payload = pack_job(narrow, (names["Box"](3),), {})
    assert wider is not narrow
    assert [key for key in decode_fields(wider.wire.source) if key.startswith("more.")] == ["more.1"]
    again, other = pack_job(wider, (names["Box"](4),), {})
    assert again is wider
    assert isinstance(payload, bytes)
    assert isinstance(other, bytes)
    assert b"_make_" not in payload + other


def test_annotations_do_not_count_as_classes_that_the_worker_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = loaded(tmp_path, "class Box:\n    n = 3\ndef work(box: Box): return box.n\n")
    monkeypatch.setattr(sys.modules["__main__"], "Box", names["Box"], raising=False)
    narrow = packed(names["work"])
    wider, _ = pack_job(narrow, (names["Box"](),), {})
    assert wider is not narrow


# --- jobs for our own version alone


def test_arguments_with_bytecode_have_a_twin():
    first = packed(plain)
    twin, _ = pack_job(first, (lambda: 1,), {})
    assert twin.wire.untravellable == "the arguments of the job hold functions or classes that the program made"
    assert (twin.wire.source, twin.wire.environment) == (b"", first.wire.environment)
    assert twin.wire.digest != first.wire.digest
    assert pack_job(first, (lambda: 2,), {})[0] is twin
    assert pack_job(twin, (lambda: 2,), {})[0] is twin
    assert pack_job(first, (Point(1), "a _make_function", [{}]), {})[0] is first
    local = pack_computation(plain)
    assert pack_job(local, (lambda: 1,), {})[0] is local


def test_bytecode_in_large_arguments_is_seen():
    data = bytearray(1 << 20)
    first = packed(plain)
    assert pack_job(first, (data, lambda: 1), {})[0].wire.untravellable
    assert pack_job(first, (data, Point(1)), {})[0] is first


class PicklesItself:
    """As numba's functions do."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, ...]:
        return cloudpickle.loads, (cloudpickle.dumps(self.function),)


def test_pickles_inside_of_pickles_are_seen():
    hidden = PicklesItself(lambda n: n)
    sentence = "an object in it pickles functions by itself, as bytecode"
    assert reason(functools.partial(plain, hidden)) == sentence
    assert pack_job(packed(plain), (hidden,), {})[0].wire.untravellable


def test_a_large_twin_keeps_its_payload():
    words = ["%06d" % n for n in range(100_000)]
    first = packed(lambda: len(words))
    twin = for_own_version(first, "because")
    assert payload_of(twin) == payload_of(first) != b""
    aside = [file.path for file in twin.wire.files if file.path.startswith(PAYLOADS)]
    assert len(aside) == 1
    assert not aside[0].endswith(SOURCE)


def test_a_further_computation_goes_if_the_setup_can(tmp_path: Path):
    names = loaded(tmp_path, "def prepare(): pass\ndef work(): pass\n")
    base = packed(names["work"], setup=names["prepare"])
    assert "setup" in decode_fields(packed(plain, base=base).wire.source)
    unsourced = packed(names["work"], setup=eval("lambda: 1"))
    assert "made by exec" in reason(plain, base=unsourced)
    assert reason(plain, base=pack_computation(names["work"], setup=names["prepare"])) == NOT_ASKED


# --- what cannot go, and why


def by_exec() -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    text = "import enum\ndef made(): return 1\nclass Box:\n    def get(self): return 1\n"
    exec(text + "class Color(enum.Enum):\n    RED = 1\n    def get(self): return 1\n", names)
    return names


def test_made_by_exec(tmp_path: Path):
    names = loaded(tmp_path, "def work(n): return helper(n)\ndef maker(inner):\n    return lambda: inner\n")
    names["helper"] = by_exec()["made"]
    why = "function made was made by exec; its source is not available"
    assert reason(names["helper"]) == why
    assert reason(names["work"]) == f"global `helper` of function work: {why}"
    closure = names["maker"](names["helper"])
    assert reason(closure) == f"closure variable `inner` of the lambda in line 3 of job.py: {why}"
    made = "class Box was made by exec, by a call or at a prompt; its source is not available"
    assert reason(by_exec()["Box"]) == made
    assert reason(by_exec()["Color"]) == made.replace("Box", "Color")
    assert reason(plain, setup=names["work"]).endswith(why)


def test_lambdas_that_cannot_be_told_apart(tmp_path: Path):
    """Without columns, that is; constants and what is alone in its line can."""
    program = tmp_path / "job.py"
    program.write_text(
        "from lightwork.payload.computation import pack_computation\n"
        "one, two = (lambda n: n + 1), (lambda n: n + 2)\n"
        "five, six = (lambda: 5), (lambda: 6)\n"
        "none, seven = (lambda: None), (lambda n: n + 7)\n"
        "same = [(lambda n: n), (lambda n: n)]\n"
        "for each in (one, five, six, same[0], none, seven):\n"
        "    print(pack_computation(each, source=True).wire.untravellable)\n"
    )
    command = [sys.executable, "-X", "no_debug_ranges", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    why = "the lambda in line %d of job.py has no source of its own: it cannot be told from others in that line"
    assert done.stdout.splitlines() == [why % 2, "", "", "", "", why % 4], done.stderr


def test_source_that_has_changed(tmp_path: Path):
    names = loaded(tmp_path, "def work(n):\n    return n + 1\n\nclass Box:\n    def get(self):\n        return 1\n")
    (tmp_path / "job.py").write_text(
        "def work(n):\n    return n + 2\n\nclass Box:\n    def get(self):\n        return 2\n"
    )
    linecache.checkcache(str(tmp_path / "job.py"))
    assert reason(names["work"]) == "the source of function work has changed since it was loaded (line 1 of job.py)"
    assert reason(names["Box"]) == "the source of class Box has changed since it was loaded (job.py)"
    (tmp_path / "job.py").unlink()
    linecache.checkcache(str(tmp_path / "job.py"))
    assert reason(names["work"]) == "the source file job.py of function work cannot be read"


def test_compiled_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    module = types.ModuleType("fast_things")
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    module.__spec__ = ModuleSpec("fast_things", None, origin=str(tmp_path / f"fast_things{suffix}"))
    module.__spec__.has_location = True
    (tmp_path / f"fast_things{suffix}").write_bytes(b"")
    kind = type("Vector", (), {"__module__": "fast_things"})
    module.Vector = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fast_things", module)
    assert reason(kind) == "Vector is of the compiled module fast_things, which is for one version of Python only"


def test_modules_of_bytecode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "sealed.py").write_text("def work(): return 1\n")
    py_compile.compile(str(tmp_path / "sealed.py"), str(tmp_path / "sealed.pyc"))
    (tmp_path / "sealed.py").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    sealed = importlib.import_module("sealed")
    monkeypatch.setitem(sys.modules, "sealed", sealed)
    assert reason(sealed.work) == "work is of module sealed, which has no source file"


def test_code_objects_and_modules_made_at_run_time(monkeypatch: pytest.MonkeyPatch):
    assert (
        reason(functools.partial(eval, plain.__code__)) == "a code object (plain) is bytecode of this version of Python"
    )
    made = types.ModuleType("made_up")
    monkeypatch.setitem(sys.modules, "made_up", made)
    assert reason(functools.partial(plain, made)) == "module made_up was made at run time, so it has no source file"


def test_classes_that_need_what_is_gone(tmp_path: Path):
    text = (
        "def make(bases):\n"
        "    limit = 3\n"
        "    class Local:\n"
        "        for each in range(limit):\n            pass\n"
        "        def get(self): return 1\n"
        "    return Local\n"
    )
    names = loaded(tmp_path, text)
    assert reason(names["make"](())) == (
        "class make.Local is made with the variable `limit` of a function that has returned"
    )


def test_what_cannot_be_said_in_utf8_is_said_all_the_same():
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def made(): return 1\n", names)
    names["made"].__qualname__ = "m\udc80de"
    assert reason(names["made"], name="x") == "function m?de was made by exec; its source is not available"


# --- what the user is told


def test_check_interpreters():
    ours, there = sys.version_info[:2], [(3, 9), (3, 8)]
    free, bound = packed(plain), packed(eval("lambda n: n"))
    for versions in (there, [ours], [*there, ours], []):
        check_interpreters(free, versions)
    for versions in ([ours], [*there, ours], []):
        check_interpreters(bound, versions)
    with pytest.raises(CannotTravel) as caught:
        check_interpreters(bound, there)
    sentence, _, hint = str(caught.value).partition("\nhint: ")
    assert sentence == (
        "<lambda> cannot go to another Python: the lambda in line 1 of <string> was made by exec; its source is not "
        f"available; this is Python {OURS}, the nodes have 3.8 and 3.9."
    )
    assert f"install Python {OURS}" in hint
    with pytest.raises(CannotTravel, match=r"the nodes have 3\.8\."):
        check_interpreters(bound, [(3, 8), (3, 8)])


# --- cutting

BODIES = [
    "n",
    "n + 1",
    "(n,\n  1)",
    "[n, 'ä']",
    "{'k': n}",
    "(lambda m: m + n)(2)",
    "5",
    "6",
    "'λ' * n",
    "n if n else -n",
]
GAPS = st.sampled_from([" ", "\n", "  # a remark\n", "\n\n    "])


@st.composite
def rows_of_lambdas(draw: st.DrawFn) -> str:
    """The text of a list of lambdas, as nobody would write it."""
    gaps = lambda: draw(GAPS)
    pieces = []
    for body in draw(st.lists(st.sampled_from(BODIES), min_size=1, max_size=5)):
        parameters = draw(st.sampled_from(["n", "n, k=3", "n, *, k=(1, 2)", "n=1, /, *r, **s"]))
        pieces.append(
            f"'ö',{gaps()}(lambda{draw(st.sampled_from([' ', '  ']))}{parameters}:{gaps()}{body}{gaps()}),{gaps()}"
        )
    return f"row = [{gaps()}" + "".join(pieces) + "]\n"


@settings(max_examples=150, deadline=None)
@given(rows_of_lambdas())
def test_each_lambda_is_cut_out_of_its_row(text: str):
    """However many share a line: what is cut is the one that was asked for, with its lines and columns."""
    filename = "<row of lambdas>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, filename, "exec"), names)
    for function in names["row"][1::2]:
        definition, node = cut_function(function)
        code = Compiler(OURS).function(tuple(definition), function.__code__.co_freevars)  # type: ignore[arg-type]
        again = types.FunctionType(code, names, "again", function.__defaults__, closure_of(code, {}))
        again.__kwdefaults__ = function.__kwdefaults__
        assert again(3) == function(3)
        assert isinstance(node, ast.Lambda)
        assert list(code.co_positions()) == list(function.__code__.co_positions())


def test_a_lambda_in_an_f_string_is_no_nonsense(tmp_path: Path):
    names = loaded(tmp_path, "kept = []\ntext = f'{kept.append(lambda n: n + 1)} and {kept.append(lambda n: n + 2)}'\n")
    for number, function in enumerate(names["kept"], 1):
        try:
            definition, _ = cut_function(function)
        except NoSource as error:
            assert "the lambda in line 2 of job.py" in str(error)
            continue
        code = Compiler(OURS).function(tuple(definition), ())  # type: ignore[arg-type]
        assert types.FunctionType(code, {})(1) == 1 + number


def test_positions_of_methods_and_closures_stay(tmp_path: Path):
    text = (
        "class Box:\n    @staticmethod\n    def get(self):\n        def inner(m):\n            return self.__n + m\n"
        "        return inner\n"
    )
    box = loaded(tmp_path, text)["Box"]
    definition, _ = cut_function(box.get)
    code = Compiler(OURS).function(tuple(definition), ())  # type: ignore[arg-type]
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    expected = [each for each in box.get.__code__.co_consts if isinstance(each, types.CodeType)]
    assert inner[0].co_names == expected[0].co_names == ("_Box__n",)
    assert list(inner[0].co_positions()) == list(expected[0].co_positions())


def test_remarks_of_the_compiler_are_not_repeated(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    names = loaded(tmp_path, "def work():\n    return '\\d'\n")
    recwarn.clear()
    envelope = decode_fields(packed(names["work"]).wire.source)
    assert b"return '\\d'" in envelope["call"]
    assert len(recwarn) == 0
