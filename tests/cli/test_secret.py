"""`lightwork secret`: made, saved, pasted elsewhere, and never overwritten by accident."""

from __future__ import annotations

import stat

from lightwork.security.secret import generate, parse
from tests.cli.helpers import lightwork


def run(home, *arguments, stdin=b""):
    return lightwork(
        "secret", *arguments, cwd=home, stdin=stdin, HOME=str(home), XDG_CONFIG_HOME="", LIGHTWORK_SECRET=""
    )


def saved(home):
    return home / ".config" / "lightwork" / "secret"


def test_it_prints_one_and_keeps_nothing(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert first.returncode == 0
    assert first.stdout != second.stdout
    assert first.stdout.count(b"\n") == 1
    parse(first.stdout.decode())
    assert not saved(tmp_path).exists()
    assert b"--save" in first.stderr


def test_it_saves_one_for_this_user_alone(tmp_path):
    ended = run(tmp_path, "--save")
    assert ended.returncode == 0
    assert saved(tmp_path).read_bytes() == ended.stdout
    assert stat.S_IMODE(saved(tmp_path).stat().st_mode) == 0o600
    assert str(saved(tmp_path)) in ended.stderr.decode()
    assert b"on each other machine: `lightwork secret --read --save`" in ended.stderr


def test_it_does_not_overwrite_unless_told(tmp_path):
    first = run(tmp_path, "--save")
    again = run(tmp_path, "--save")
    assert again.returncode == 2
    assert b"error: there is a secret already" in again.stderr
    assert b"--force" in again.stderr
    assert again.stdout == b""
    assert saved(tmp_path).read_bytes() == first.stdout
    forced = run(tmp_path, "--save", "--force")
    assert forced.returncode == 0
    assert saved(tmp_path).read_bytes() == forced.stdout != first.stdout


def test_on_another_machine_it_is_pasted(tmp_path):
    text = generate()
    ended = run(tmp_path, "--read", "--save", stdin=f"  {text}\n".encode())
    assert ended.returncode == 0
    assert ended.stdout == b""
    assert saved(tmp_path).read_text() == f"{text}\n"


def test_a_typo_is_named(tmp_path):
    text = generate()
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    ended = run(tmp_path, "--read", "--save", stdin=wrong.encode())
    assert ended.returncode == 2
    assert b"typo" in ended.stderr
    assert not saved(tmp_path).exists()
    nothing = run(tmp_path, "--read", "--save")
    assert nothing.returncode == 2
    assert b"no secret came" in nothing.stderr


def test_options_that_say_nothing_alone(tmp_path):
    for option in ("--read", "--force"):
        ended = run(tmp_path, option)
        assert ended.returncode == 2
        assert b"go with --save" in ended.stderr
