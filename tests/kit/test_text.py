import pytest

from lightwork.kit import text


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 20, "1.0 MiB"),
        (200 << 20, "200 MiB"),
        (5 << 60, "5120 PiB"),
    ],
)
def test_size(count, written):
    assert text.size(count) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 us"), (4.2e-5, "42 us"), (0.0042, "4.2 ms"), (0.9999, "1 s"), (1.234, "1.23 s"), (59.97, "1 min"),
        (75, "1 min 15 s"), (3599.6, "1 h"), (3700, "1 h 1 min"), (90000, "1 d 1 h"),
        (86400 * 30, "30 d"), (-75, "-1 min 15 s"),
    ],
)  # fmt: skip
def test_span(seconds, written):
    assert text.span(seconds) == written


def test_count_and_list():
    assert text.count(1, "job") == "1 job"
    assert text.count(2000, "job") == "2,000 jobs"
    assert text.count(2, "process", "processes") == "2 processes"
    assert text.listed([]) == "none"
    assert text.listed(["a"]) == "a"
    assert text.listed(["a", "b", "c"]) == "a, b and c"
    assert text.listed([str(n) for n in range(1207)], most=2) == "0, 1 and 1,205 more"


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (112, "112th"),
    ],
)
def test_ordinal(number, written):
    assert text.ordinal(number) == written
