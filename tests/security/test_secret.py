"""Secrets that are made, typed, mistyped and saved."""

import os
import random
import stat

import pytest
from hypothesis import given, strategies as st

from lightwork.model.errors import UserError
from lightwork.security import secret
from lightwork.security.secret import generate, guessable, lines, parse, save, secret_path

FIXED = "lw-00000-00000-00000-00000-00000-070gw"


@pytest.fixture(autouse=True)
def config_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_generated_secret_reads_well_and_differs():
    made = {generate() for _ in range(100)}
    assert len(made) == 100
    for text in made:
        prefix, *groups = text.split("-")
        assert prefix == "lw"
        assert [len(group) for group in groups] == [5] * 6
        assert not guessable(text)
        assert len(parse(text)) == 32
    assert len({parse(text) for text in made}) == 100


def test_what_readers_mistake_is_no_typo():
    for _ in range(50):
        text = generate()
        key = parse(text)
        careless = text[3:].upper().replace("1", random.choice("1ILil")).replace("0", random.choice("0Oo"))
        for same in (
            f"LW-{careless}",
            f"  {text}\n",
            f"lw-{text[3:].replace('-', '')}",
            f"lw-{careless.replace('-', ' ')}",
        ):
            assert parse(same) == key
        assert parse(careless) == key or not any(c.isdigit() for c in careless)  # without its prefix


def test_derivations_never_change():
    """Whoever changes them shuts out everybody: these are for ever."""
    assert secret._written(bytes(16)) == FIXED
    assert parse(FIXED).hex() == "ab0666313f0fa2f54210086e86c97d7ae1d59f47c94101d553818915c605ba12"
    phrase = parse("correct horse battery staple")
    assert phrase.hex() == "4f334a5ad0fd08521c42cf823c239cf4456938b72656e112c01651dc42f4d7e4"


@given(st.integers(0, 29), st.sampled_from(secret._SYMBOLS), st.binary(min_size=16, max_size=16))
def test_one_wrong_symbol_is_a_typo(place, symbol, key):
    text = secret._written(key)
    at = [i for i, c in enumerate(text) if c != "-"][2:][place]
    wrong = text[:at] + symbol + text[at + 1 :]
    if symbol != text[at]:
        with pytest.raises(UserError, match="the secret has a typo: its checksum does not fit"):
            parse(wrong)


@given(st.integers(3, 37), st.binary(min_size=16, max_size=16))
def test_neighbours_swapped_a_symbol_lost_or_doubled_are_typos(place, key):
    text = secret._written(key)
    swapped = text[:place] + text[place + 1 : place + 2] + text[place] + text[place + 2 :]
    for wrong in (swapped, text[:place] + text[place + 1 :], text[:place] + text[place] + text[place:]):
        if wrong.replace("-", "") != text.replace("-", ""):
            assert not guessable(wrong)
            with pytest.raises(UserError, match="the secret has a typo: "):
                parse(wrong)


def test_what_was_generated_is_never_taken_for_a_phrase():
    text = "lw-7k2wq-m4x9d-7k2wq-m4x9d-7k2wq-m4x9d"
    for wrong in (
        text,
        text[3:],
        text.replace("-", " ", 6)[3:],
        "lv-" + text[3:],
        "lw-u2uuu" + text[8:],
        "lw-",
        "LW-1",
    ):
        assert not guessable(wrong), wrong
        with pytest.raises(UserError, match="typo"):
            parse(wrong)


@pytest.mark.parametrize(
    "text", ["a", "correct horse battery staple", "six-fiver-words-with-dashes-seven", "lwx", "  x "]
)
def test_phrases_are_guessable(text):
    assert guessable(text)
    assert len(parse(text)) == 32
    assert parse(text) == parse(f" {text.strip()}\n")


def test_a_phrase_is_the_same_however_its_accents_are_coded():
    assert parse("caf\u00e9") == parse("cafe\u0301")
    assert parse("caf\u00e9") != parse("cafe")


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_empty(text):
    with pytest.raises(UserError, match="empty"):
        parse(text)
    with pytest.raises(UserError, match="the secret from LIGHTWORK_SECRET is empty") as caught:
        lines(text, "LIGHTWORK_SECRET")
    assert "lightwork secret" in caught.value.hint


def test_two_lines():
    one, two = generate(), generate()
    assert lines(f"\n {one}\r\n\n{two} \n", "x") == (one, two)
    with pytest.raises(UserError, match=r"checksum does not fit \(the file\)"):
        lines(f"{one}\n{FIXED[:-1]}0", "the file")
    with pytest.raises(UserError, match="has 40 lines"):
        lines("a\n" * 40, "/etc/passwd")
    with pytest.raises(UserError, match="certificate or key"):
        lines("-----BEGIN {0}-----\nabc\n-----END {0}-----\n".format("PRIVATE " + "KEY"), "x")


def test_saved_for_this_user_alone(tmp_path):
    text = generate()
    old = os.umask(0)
    try:
        path = save(text)
    finally:
        os.umask(old)
    assert path == secret_path() == tmp_path / "config" / "lightwork" / "secret"
    assert path.read_text() == text + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["secret"]


def test_a_saved_one_is_not_overwritten_by_accident():
    path, first = save(generate()), secret_path().read_text()
    with pytest.raises(UserError, match="already") as caught:
        save(generate())
    assert "second line" in caught.value.hint
    assert path.read_text() == first
    save(f"new one\n{first}", replace=True)
    assert path.read_text() == f"new one\n{first}"
    with pytest.raises(UserError, match="typo"):
        save(FIXED[:-1] + "0", replace=True)


def test_where_it_cannot_be_saved(tmp_path):
    (tmp_path / "config").write_text("a file")
    with pytest.raises(UserError, match="cannot write the secret to"):
        save(generate())


def test_elsewhere_than_linux(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert secret_path().name == "secret"
