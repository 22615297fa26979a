"""`import lightwork` costs nothing, and each name that it promises is there when asked for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lightwork
from tests.house.helpers import ROOT

IMPORT_MS_MAX = 2.0


def ask(code: str) -> object:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n{code}"
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(run.stdout)


def test_importing_it_imports_nothing_else():
    code = (
        "import json; before = set(sys.modules); import lightwork; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert ask(code) == ["lightwork"]


def test_importing_it_takes_under_two_milliseconds():
    code = """
import json, time
started = time.perf_counter()
import lightwork
print(json.dumps((time.perf_counter() - started) * 1000))"""
    assert min(float(str(ask(code))) for _ in range(5)) < IMPORT_MS_MAX


@pytest.mark.parametrize("name", [*lightwork.__all__, "__version__"])
def test_each_name_is_there(name):
    assert getattr(lightwork, name) is not None
    assert name in dir(lightwork)


def test_what_is_not_built_is_not_there():
    for name in ("Executor", "dispy"):
        with pytest.raises(AttributeError, match=name):
            getattr(lightwork, name)


def test_each_public_name_is_of_the_right_family():
    for name in ("UserError", "JobError", "PeerError", "ClusterError"):
        assert issubclass(getattr(lightwork, name), lightwork.LightworkError)
    assert issubclass(lightwork.ProgramError, lightwork.JobError)
