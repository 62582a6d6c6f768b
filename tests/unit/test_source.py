"""Reading YAML: what stays text, what is refused, and on which line it is told."""

from __future__ import annotations

import time

import pytest

from runner import source


def problems(text: str) -> str:
    with pytest.raises(source.SourceError) as caught:
        source.read(text, "f.yml")
    return str(caught.value)


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "y", "n", "No", "YES", "True", "FALSE", "Null"])
def test_words_that_yaml_1_1_takes_for_booleans_stay_words(word: str) -> None:
    assert source.read(f"a: {word}\n{word}: a\n", "f.yml").data == {"a": word, word: "a"}


@pytest.mark.parametrize(
    "word", ["2026-11-21", "0x10", "010", "1_000", "1:30", ".inf", "1e3", "1.0", "+1", "12345678901234567890"]
)
def test_what_only_looks_like_a_number_or_a_date_stays_text(word: str) -> None:
    assert source.read(f"a: {word}\n", "f.yml").data == {"a": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("-12", -12)],
)
def test_plain_scalars_of_yaml_1_2(text: str, value: object) -> None:
    assert source.read(f"a: {text}\n", "f.yml").data == {"a": value}


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    assert source.read("\ufeffa: 1\r\nb: 2\r\n", "f.yml").data == {"a": 1, "b": 2}


def test_every_value_knows_its_line() -> None:
    read = source.read("a:\n  - x\n  - b: 1\n    c: 2\n", "f.yml")
    assert {path: read.line(path) for path in [("a",), ("a", 0), ("a", 1, "c")]} == {
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1, "c"): 4,
    }


def test_what_is_missing_is_told_at_the_nearest_thing_around_it() -> None:
    read = source.read("x: 1\na:\n  - b: 1\n", "f.yml")
    assert read.line(("a", 0, "missing", "too")) == 3


BROKEN = {
    "empty": ("", "f.yml:1: the file is empty"),
    "only a comment": ("# nothing\n", "f.yml:1: the file is empty"),
    "tab": ("a:\n\tb: 1\n", "f.yml:2: not valid YAML: a tab stands where only spaces may"),
    "quote not closed": (
        "a: 1\nb: 'x\nc: 2\n",
        "f.yml:2: not valid YAML: while scanning a quoted scalar, the file came to its end",
    ),
    "bracket not closed": (
        "a: 1\nb: [1, 2\n",
        "f.yml:2: not valid YAML: while parsing a flow sequence, the file came to its end",
    ),
    "two colons": ("a: b: c\n", "f.yml:1: not valid YAML: mapping values are not allowed here"),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        "f.yml:2: not valid YAML: a second document begins; a file holds one",
    ),
    "control character": (
        "a: \x07\n",
        "f.yml:1: not valid YAML: unacceptable character #x0007: special characters are not allowed",
    ),
    "anchor": ("a: &x 1\n", "f.yml:1: anchors and aliases (& and *) are not allowed"),
    "alias": ("a: 1\nb: *x\n", "f.yml:2: anchors and aliases (& and *) are not allowed"),
    "alias within itself": (
        "a: &x\n  - *x\n",
        (
            "f.yml:1: anchors and aliases (& and *) are not allowed\n"
            "f.yml:2: anchors and aliases (& and *) are not allowed"
        ),
    ),
    "tag of a Python object": (
        "a: !!python/object/apply:os.system ['true']\n",
        "f.yml:1: tags like tag:yaml.org,2002:python/object/apply:os.system are not allowed",
    ),
    "tag of an int": ("a: !!int x\n", "f.yml:1: tags like tag:yaml.org,2002:int are not allowed"),
    "tag of one's own": ("a: !secret x\n", "f.yml:1: tags like !secret are not allowed"),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "f.yml:3: duplicate key 'a' (first on line 1)"),
    "duplicate key deep within": ("a:\n  - b: 1\n    b: 2\n", "f.yml:3: duplicate key 'b' (first on line 2)"),
    "a list as key": ("? [a, b]\n: 1\n", "f.yml:1: a key must be a word"),
    "half of a character": ('a: "\\ud800"\n', "f.yml:1: half of a character (a surrogate) is not allowed"),
    "several problems": (
        "a: 1\na: 2\nb: 1\nb: 2\n",
        "f.yml:2: duplicate key 'a' (first on line 1)\nf.yml:4: duplicate key 'b' (first on line 3)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_yaml_is_told_with_its_line(case: str) -> None:
    text, expected = BROKEN[case]
    assert problems(text) == expected


def test_a_file_of_two_megabytes_is_refused_unread() -> None:
    assert problems("a: " + "x" * 2_000_000) == "f.yml:1: the file is larger than 1000000 bytes"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_with_its_line(opening: str) -> None:
    assert problems("x:\n " + opening * 5000) == "f.yml:2: nested deeper than 20 levels"


def test_deep_nesting_costs_no_time() -> None:
    before = time.process_time()
    problems("[" * 900_000)
    assert time.process_time() - before < 5


def test_twenty_levels_are_read() -> None:
    assert source.read("[" * 20 + "]" * 20, "f.yml").lines[(0,) * 19] == 1
