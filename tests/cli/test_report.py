"""One line tells which job failed, where and how."""

from lightwork.cli import report


def test_exit_status_counts_to_a_hundred():
    assert [report.exit_status(failed) for failed in (0, 1, 99, 100, 101, 5000)] == [0, 1, 99, 100, 101, 101]


def test_a_failure_in_one_line():
    line = report.failure(3, ["a b", "c"], "lab1", "exit code 2", b"first\nno such file\n\n")
    assert line == "job 3 ('a b' c) failed on lab1: exit code 2; no such file"
    assert report.failure(1, [], "", "cancelled", b"") == "job 1 failed: cancelled"


def test_many_arguments_are_cut():
    shown = report.shown_arguments(["word"] * 100)
    assert len(shown) < 130
    assert shown.endswith("...)")


def test_nothing_steers_the_terminal():
    line = report.failure(1, ["\x1b[31m", "caf\udce9"], "n", "exit code 1", b"progress\rred \x1b[0m\xff")
    assert line.isprintable()
    assert r"red \x1b[0m\xff" in line
    assert r"caf\xe9" in line


def test_what_was_left_out():
    assert (
        report.incomplete(2, ["x"], "stdout", 3 << 20) == "job 2 (x): 3.0 MiB in the middle of its stdout are left out"
    )
