"""The files by which schedulers of this user are found."""

import os
import stat
from pathlib import Path

import pytest

from lightwork.config import places
from lightwork.config.places import Place
from lightwork.kit.process import start_of


@pytest.fixture(autouse=True)
def runtime(monkeypatch, tmp_path):
    monkeypatch.setattr("lightwork.config.paths.runtime_directory", lambda: tmp_path)
    return tmp_path


def place(name="lab", **more) -> Place:
    given = {"address": "unix:/x/lab.sock", "pid": os.getpid(), "start": start_of(os.getpid()), **more}
    return Place(name=name, **given)


def test_what_is_written_is_found_until_it_is_removed(runtime):
    first, second = place(state="/s", listen=("lab1:9700",)), place("b", session="mine")
    for one in (first, second):
        path = places.write(one)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert path.parent == runtime / "schedulers"
    assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
    assert places.find() == [second, first]
    places.remove(second)
    assert places.find() == [first]
    assert os.listdir(path.parent) == ["lab.json"]


def test_the_dead_are_passed_over():
    places.write(place("killed", pid=2**22 + 1, start="123-abc"))
    places.write(place("another", start="123-abc"))  # a later process has its number
    assert places.find() == []
    assert places.read(places.path_of("killed")) is not None


def test_what_is_no_place_is_passed_over(runtime):
    where = places.directory()
    (where / "half.json").write_text('{"name": "half", "addr')
    (where / "other.json").write_text("[]")
    (where / ".lab.json.17").write_text("")
    places.lock_of("lab").write_text("")
    (where / "directory.json").mkdir()
    assert places.find() == []


def test_a_file_that_became_anothers_stays(tmp_path):
    path = tmp_path / "place.json"
    places.write(place(), path)
    places.write(place("later"), path)
    places.remove(place(), path)
    assert places.read(path) == place("later")
    places.remove(place("later"), path)
    places.remove(place("later"), path)
    assert not path.exists()


def test_no_draft_is_left_where_nothing_can_be_written(tmp_path):
    path: Path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(OSError):
        places.write(place(), path)
    assert os.listdir(tmp_path) == ["taken"]
