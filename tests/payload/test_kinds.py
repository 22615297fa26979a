"""Every kind of callable and argument runs in another interpreter, or is refused with a sentence that says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightwork.model.errors import UserError
from lightwork.payload.arguments import pack_job
from lightwork.payload.computation import pack_computation
from tests.payload import elsewhere, kinds, untravellable

ROOT = Path(__file__).parents[2]


def python(*argv: str, cwd: str | Path | None = None, stdin: str = "") -> str:
    """Run a program of a user's; what it printed."""
    environment = {**os.environ, "LIGHTWORK_TEST_RUN": "tests.payload.elsewhere"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *argv], input=stdin, env=environment, cwd=cwd, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_kind_runs_from_a_module():
    assert kinds.failures(elsewhere.run, kinds.kinds()) == []


def test_every_kind_runs_from_a_program():
    count = len(kinds.kinds())
    assert python(str(Path(kinds.__file__))).splitlines() == [f"{count} of {count} kinds"]


TYPED = """
from tests.payload.elsewhere import run
import dataclasses
factor = 6
@dataclasses.dataclass
class Box:
    n: int

def helper(box):
    return box.n * factor

def work(box, m):
    return Box(helper(box) * m)

print(run(work, (Box(7), 1)), type(run(work, (Box(7), 1))) is Box)
print(run(lambda n: n + factor, (1,)))
factor = 7
print(run(lambda n: n + factor, (1,)))
"""
SAID = "Box(n=42) True\n7\n8\n"


def test_typed_at_the_prompt():
    assert python("-i", stdin=TYPED) == SAID


def test_program_on_standard_input():
    assert python("-", stdin=TYPED) == SAID


def test_notebook_cells_show_their_source(tmp_path: Path):
    """A notebook keeps each cell's text in linecache; the traceback from over there shows the line."""
    program = tmp_path / "notebook.py"
    program.write_text(
        "import linecache\n"
        "from tests.payload.elsewhere import run, JobFailed\n"
        "cell = 'def work(n):\\n    return 1 / n  # in a cell\\n'\n"
        "linecache.cache['<cell 1>'] = (len(cell), None, cell.splitlines(True), '<cell 1>')\n"
        "exec(compile(cell, '<cell 1>', 'exec'))\n"
        "try:\n    run(work, (0,))\n"
        "except JobFailed as error:\n    print(error)\n"
    )
    assert "return 1 / n  # in a cell" in python(str(program))


def test_traceback_shows_the_lines_of_a_program(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "from tests.payload.elsewhere import run, JobFailed\n"
        "def work():\n    return {}['lost']  # here\n"
        "try:\n    run(work)\n"
        "except JobFailed as error:\n    print(str(error).replace(__file__, 'program'))\n"
    )
    assert "return {}['lost']  # here" in python(str(program), cwd="/")


def test_own_class_stays_as_it_is(tmp_path: Path):
    """A class that went and came back is the very one, and its methods still see the program's globals."""
    program = tmp_path / "program.py"
    program.write_text(
        "from tests.payload.elsewhere import run\n"
        "seen = []\n"
        "class Thing:\n    def note(self):\n        seen.append(1)\n        return len(seen)\n"
        "note = Thing.note\n"
        "def work(thing):\n    thing.note()\n    return thing\n"
        "back = run(work, (Thing(),))\n"
        "print(type(back) is Thing, Thing.note is note, back.note(), seen)\n"
    )
    assert python(str(program)) == "True True 1 [1]\n"


def test_program_of_a_package(tmp_path: Path):
    """`python -m package.program`: relative imports inside of its functions find the package over there."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "prices.py").write_text("APPLE = 3\n")
    (package / "program.py").write_text(
        "from tests.payload.elsewhere import run\n"
        "def work(n):\n    from . import prices\n    return n * prices.APPLE\n"
        "if __name__ == '__main__':\n    print(run(work, (2,)))\n"
    )
    assert python("-m", "shop.program", cwd=tmp_path) == "6\n"


def test_module_made_at_run_time(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, types\n"
        "from tests.payload.elsewhere import run\n"
        "made = types.ModuleType('made')\n"
        "exec('BASE = 2\\ndef power(n):\\n    return BASE ** n', made.__dict__)\n"
        "sys.modules['made'] = made\n"
        "print(run(made.power, (5,)))\n"
    )
    assert python(str(program)) == "32\n"


@pytest.mark.parametrize("case", untravellable.CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_cannot_travel(case: untravellable.Case):
    with untravellable.made(case) as (computation, args, kwargs):
        with pytest.raises(UserError) as caught:
            pack_job(pack_computation(computation), args, kwargs)
    sentence, _, hint = str(caught.value).partition("\nhint: ")
    assert case.sentence in sentence
    assert case.hint in hint
