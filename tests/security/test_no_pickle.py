"""Nothing that reads from the network can unpickle: not by its imports, not by an import inside a function."""

import ast
import json
import subprocess
import sys

from tests.house.helpers import SOURCE

ROOMS = ("transport", "wire", "security", "node", "scheduler")
OPENERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal", "copyreg", "jsonpickle"}
WALK = """
import importlib, json, pkgutil, sys
rooms, openers = json.loads(sys.argv[1])
names = []
for room in rooms:
    package = importlib.import_module(f"lightwork.{room}")
    names.append(package.__name__)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            names.append(found.name)
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.transport.tls import Encryption
Encryption(Credential(secrets=(secret.generate(),), origin="x"))  # and with it all that is imported late
held = []
for name in list(sys.modules):
    if name.partition(".")[0] == "lightwork":
        for key, value in vars(sys.modules[name]).items():
            home = getattr(value, "__module__", None) or getattr(value, "__name__", None)
            if isinstance(home, str) and home.partition(".")[0] in openers:
                held.append(f"{name}.{key}")
print(json.dumps([names, sorted(set(openers) & set(sys.modules)), held]))
"""


def modules_of(room: str) -> list[str]:
    files = (SOURCE / room).rglob("*.py")
    names = (path.relative_to(SOURCE.parent).with_suffix("").as_posix().replace("/", ".") for path in files)
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def test_what_a_fresh_interpreter_has_after_importing_them_all():
    command = [sys.executable, "-c", WALK, json.dumps([ROOMS, sorted(OPENERS)])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    names, loaded, held = json.loads(done.stdout)
    assert sorted(names) == sorted(name for room in ROOMS for name in modules_of(room))
    assert set(loaded) <= {"marshal", "copyreg"}  # the interpreter's own import machinery, and what `copy` needs
    assert held == []


def offences(source: str) -> list[str]:
    """Imports of what opens pickles, at any depth; what runs a text as code; imports by a name made at run time."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in OPENERS]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in OPENERS:
                found.append(str(node.module))
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in ("eval", "exec", "__import__", "import_module") and isinstance(
                node.func, ast.Name | ast.Attribute
            ):
                found.append(called)
    return found


def imported(source: str) -> set[str]:
    """Modules of ours that are imported, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("lightwork")}


def source_of(name: str) -> str | None:
    path = SOURCE.parent / name.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None


def test_nothing_that_they_reach_imports_it_even_late():
    todo = [name for room in ROOMS for name in modules_of(room)]
    seen: set[str] = set()
    guilty = {}
    while todo:
        name = todo.pop()
        source = source_of(name)
        if name in seen or source is None:
            continue
        seen.add(name)
        todo += imported(source)
        if found := offences(source):
            guilty[name] = found
    assert len(seen) > 100
    assert guilty.pop("lightwork.kit.loop", ["__import__"]) == ["__import__"]  # uvloop or winloop, whichever is there
    assert guilty == {}


def test_an_offence_is_found():
    late = "def open(x):\n    if x:\n        from pickle import loads\n    return loads(x)\n"
    assert offences(late) == ["pickle"]
    assert offences("import os, cloudpickle.cloudpickle") == ["cloudpickle.cloudpickle"]
    assert offences("__import__('pickle'); eval('1'); importlib.import_module(x)") == [
        "__import__",
        "eval",
        "import_module",
    ]
    assert offences("self.evaluate(); import json") == []
    assert imported("def f():\n    from lightwork.payload import pickling") >= {"lightwork.payload.pickling"}
