"""What a user types becomes the words that a shell would make of it."""

import shlex

import pytest
from hypothesis import given, strategies as st

from lightwork.cli import arguments
from lightwork.model.errors import UserError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arg11 arg12", ["arg11", "arg12"]),
        ('"arg21" "arg22"', ["arg21", "arg22"]),
        ("'a b'  c", ["a b", "c"]),
        (r"a\ b", ["a b"]),
        ("# no comment", ["#", "no", "comment"]),
        ("a;b|c>d", ["a;b|c>d"]),
        ("''", [""]),
        ("", []),
        ("  ", []),
        ("grüße 世界", ["grüße", "世界"]),
    ],
)
def test_split_as_a_shell_does(text, words):
    assert arguments.split(text, windows=False) == (words, "")


def test_the_seeds_own_example_has_a_quote_too_many():
    words, warning = arguments.split('"arg11" arg12"')
    assert words == ["arg11", "arg12"]
    assert '"arg11" arg12"' in warning


@pytest.mark.parametrize("text", ["it's five", "\"open 'mixed", "\"a b'", "ends in \\"])
def test_a_quote_that_never_ends_is_no_guess(text):
    with pytest.raises(UserError, match="cannot split"):
        arguments.split(text, windows=False)


def test_on_windows_a_backslash_is_a_path():
    assert arguments.split(r'C:\new\file "D:\other file"', windows=True).words == [r"C:\new\file", r"D:\other file"]


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))))
def test_quoted_words_come_back(words):
    assert arguments.split(shlex.join(words), windows=False) == (words, "")


@given(st.text())
def test_any_text_is_split_or_refused(text):
    try:
        arguments.split(text)
    except UserError as error:
        assert error.hint


def test_lines():
    raw = [b"one\n", b"\n", b"two words\r\n", b"  \t\n", b"# kept\n", b"caf\xe9\n", b"last"]
    assert list(arguments.lines(raw)) == ["one", "two words", "# kept", "caf\udce9", "last"]


@pytest.mark.parametrize(
    ("template", "text", "words"),
    [
        ([], "a 'b c'", ["a", "b c"]),
        (["-v"], "a b", ["-v", "a", "b"]),
        (["{}", "{}.png"], "my file", ["my file", "my file.png"]),
        (["{}"], 'it\'s "any" line', ['it\'s "any" line']),
        (["{2}", "x{1}y{2}"], "a 'b c'", ["b c", "xay" + "b c"]),
        (["{}", "{1}"], "a b", ["a b", "a"]),
        (["{x}", "{", "}"], "a", ["{x}", "{", "}", "a"]),
        (["{}"], "{1}", ["{1}"]),
    ],
)
def test_arguments_of_a_job(template, text, words):
    assert arguments.for_job(template, text) == (words, "")


@pytest.mark.parametrize("template", [["{3}"], ["{0}"]])
def test_a_word_that_is_not_there(template):
    with pytest.raises(UserError, match="no word"):
        arguments.for_job(template, "a b")


def test_environment():
    assert arguments.environment(["A=1", "B=", "C=x=y"]) == {"A": "1", "B": "", "C": "x=y"}
    for wrong in ("A", "=1", ""):
        with pytest.raises(UserError, match="NAME=VALUE"):
            arguments.environment([wrong])


def test_nodes():
    assert arguments.nodes(()) is None
    assert arguments.nodes(["lab1", "lab2:9702, 192.168.3.*"]) == ["lab1", "lab2:9702", "192.168.3.*"]
    assert arguments.nodes(["lab1,"]) == ["lab1", ""]


def test_resources():
    assert arguments.resources(["cpus=0.25", "memory=1K", "gpus=2"]) == {"cpus": 0.25, "memory": 1024, "gpu": 2}
    assert arguments.resources([]) == {}
    for wrong in ("gpu", "gpu=0.5", "=1"):
        with pytest.raises(UserError, match="--resource"):
            arguments.resources([wrong])
