"""How long a node knows of every attempt whether it had started."""

from __future__ import annotations

from lightwork.node.service.era import Era


def test_it_lasts_as_long_as_directory_and_boot(tmp_path):
    path = tmp_path / "era"
    first = Era(path, "boot-1").name
    assert len(first) == 32
    assert Era(path, "boot-1").name == first
    second = Era(path, "boot-2").name
    assert second != first
    assert Era(path, "boot-2").name == second
    path.unlink()
    assert Era(path, "boot-2").name != second
    path.write_text("nonsense")
    assert len(Era(path, "boot-2").name) == 32
    assert Era(path).name == Era(path).name


def test_a_clock_that_was_set_a_little_is_no_boot(tmp_path):
    path = tmp_path / "era"
    first = Era(path, "at 1000000").name
    assert Era(path, "at 1000030").name == first
    assert Era(path, "at 1009999").name != first


def test_what_is_damaged_renews_it(tmp_path):
    era = Era(tmp_path / "era", "b")
    before = era.name
    era.renew()
    assert era.name != before
    assert Era(tmp_path / "era", "b").name == era.name
