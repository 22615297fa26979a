"""`lightwork demo`: what it computes, small; and once as a newcomer runs it."""

import os
import re
import struct
import time
import uuid
import zlib

import psutil
import pytest

from lightwork.cli import demo_jobs, demo_program, demo_tour
from tests.cli.helpers import gone, lightwork


@pytest.mark.parametrize(
    ("jobs", "cores", "million_s"), [(2000, 2, 0.03), (2000, 64, 0.02), (2000, 1, 0.5), (1, 1, 0.03)]
)
def test_numbers_are_sized_to_the_machine(jobs, cores, million_s):
    exponent = demo_tour.exponent_for(jobs, cores, million_s)
    assert jobs * 10 ** (exponent / 2) / 1e6 * million_s / cores <= demo_tour.DIVISORS_S
    assert exponent == 12 or jobs * 10 ** ((exponent + 1) / 2) / 1e6 * million_s / cores > demo_tour.DIVISORS_S


def test_a_hopeless_machine_gets_the_smallest_numbers():
    assert demo_tour.exponent_for(10**9, 1, 1.0) == demo_tour.EXPONENTS[0]


def test_what_is_computed():
    assert demo_jobs.divisors(36) == (36, [2, 3, 4, 6])
    assert demo_jobs.divisors(97) == (97, [])
    assert demo_program.walk(27) == 111
    assert demo_program.longest(1, 10) == (19, -9)
    assert demo_program.longest(12, 14) == (9, -12)  # both take nine: the smaller number


def test_rows_of_the_picture_fit_together():
    whole = demo_jobs.mandelbrot_rows(0, 6, 9, 6)
    assert len(whole) == 3 * 9 * 6
    assert whole == demo_jobs.mandelbrot_rows(0, 4, 9, 6) + demo_jobs.mandelbrot_rows(4, 6, 9, 6)


def colours(path):
    """The picture's size, and how many different colours it has."""
    data = path.read_bytes()
    width, height = struct.unpack_from(">II", data, 16)
    (length,) = struct.unpack_from(">I", data, 33)
    pixels = zlib.decompress(data[41 : 41 + length])
    assert len(pixels) == (3 * width + 1) * height
    return width, height, len({pixels[at : at + 3] for at in range(1, len(pixels) - 3, 3)})


def test_a_small_demo(tmp_path):
    given = ["--jobs", 20, "--programs", 8, "--width", 48, "--picture", "small.png"]
    mark = uuid.uuid4().hex
    result = lightwork("demo", *given, cwd=tmp_path, RUN_TEST_MARK=mark)
    assert result.returncode == 0, result.stderr.decode()
    assert b"error" not in result.stderr
    shown = result.stdout.decode()
    assert "the first 20 odd numbers" in shown
    assert re.search(r"^Node +Slots +Jobs", shown, re.MULTILINE)
    assert "8 runs of a script" in shown
    assert "small.png" in shown
    assert colours(tmp_path / "small.png")[:2] == (48, 32)
    assert [path.name for path in tmp_path.iterdir()] == ["small.png"]
    assert gone(mark, 5) == []


def test_a_place_that_cannot_be_written(tmp_path):
    result = lightwork("demo", "--picture", tmp_path, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(b"error: ")


def busy_s() -> float:
    """Processor time that was not to be had for new work, of all processors."""
    times = psutil.cpu_times()
    return sum(times) - sum(getattr(times, name, 0) for name in ("idle", "iowait", "guest", "guest_nice"))


def own_s() -> float:
    return sum(os.times()[:4])


@pytest.mark.slow
def test_the_demo_as_a_newcomer_runs_it(tmp_path):
    began, busy, own = time.monotonic(), busy_s(), own_s()
    result = lightwork("demo", cwd=tmp_path, timeout=180)
    assert result.returncode == 0, result.stderr.decode()
    others = busy_s() - busy - (own_s() - own)  # a newcomer has the machine to himself
    assert time.monotonic() - began - others / (os.cpu_count() or 1) < 60
    assert "the first 2,000 odd numbers" in result.stdout.decode()
    width, height, different = colours(tmp_path / "lightwork-demo.png")
    assert (width, height) == (960, 640)
    assert different > 1000
