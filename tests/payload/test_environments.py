"""Which computations share workers and directory, and what names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightwork.model.errors import CannotTravel, UserError
from lightwork.payload.computation import Environments, pack_computation
from lightwork.wire.messages import File
from tests.payload.kinds import Counter, defined, numbers_setup, plain, same
from tests.payload.local_code import shapes


def test_functions_of_one_cluster_share_an_environment():
    base = pack_computation(plain, setup=numbers_setup, setup_args=(3,), dest_path="somewhere", isolation="process")
    other = pack_computation(same, base=base)
    for name in ("environment", "setup", "dest_path", "isolation"):
        assert getattr(other.wire, name) == getattr(base.wire, name)
    assert other.wire.digest != base.wire.digest


def test_a_local_module_more_is_the_same_environment():
    base = pack_computation(defined("def work():\n    return 1", "work"))
    other = pack_computation(shapes.plugin, base=base)
    assert other.wire.environment == base.wire.environment
    assert len(other.wire.files) > len(base.wire.files)


def test_other_files_are_another_environment(tmp_path: Path):
    (tmp_path / "data").write_text("x")
    base = pack_computation(plain)
    other = pack_computation(plain, depends=[tmp_path / "data"], base=base)
    assert other.wire.environment != base.wire.environment
    assert {file.path for file in base.wire.files} < {file.path for file in other.wire.files}


def test_one_path_never_has_two_contents():
    environments = Environments()
    first = environments.choose("shared", [File("a", "1", 1), File("b", "1", 1)])
    second = environments.choose("shared", [File("a", "2", 1)])
    third = environments.choose("shared", [File("c", "1", 1)])
    assert first == third == "shared"
    assert second != "shared"
    assert environments.choose("shared", [File("a", "2", 1)]) == second


def test_names():
    assert pack_computation(plain).wire.name == "plain"
    assert pack_computation(Counter(1)).wire.name == "Counter"
    assert pack_computation(Counter(1).method).wire.name == "Counter.method"
    assert pack_computation(plain, name="mine").wire.name == "mine"


def test_cleanup_decides_about_files_or_is_a_function():
    assert not pack_computation(plain).wire.keep_files
    assert pack_computation(plain, cleanup=False).wire.keep_files
    assert pack_computation(plain, cleanup=numbers_setup).wire.cleanup


@pytest.mark.parametrize("path", ["../up", "a/../../b", "/tmp/../etc", "..\\x"])
def test_dest_path_does_not_climb(path: str):
    with pytest.raises(UserError, match="must not have"):
        pack_computation(plain, dest_path=path)


@pytest.mark.parametrize(("path", "there"), [("a//b/./c", "a/b/c"), ("/tmp", "/tmp"), ("C:\\x", "C:/x")])
def test_dest_path_is_below_the_node_s_own_or_absolute(path: str, there: str):
    assert pack_computation(plain, dest_path=path).wire.dest_path == there


def test_options_are_checked():
    with pytest.raises(UserError, match="isolation must be 'worker' or 'process', not 'thread'"):
        pack_computation(plain, isolation="thread")
    with pytest.raises(UserError, match="setup must be a function, class or other callable, not an int"):
        pack_computation(plain, setup=3)
    with pytest.raises(CannotTravel, match="argument 1 of setup is an open file"):
        with open(__file__) as file:
            pack_computation(plain, setup=numbers_setup, setup_args=(file,))
