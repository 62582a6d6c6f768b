"""What others wrote is shown as it is: nothing steers, nothing hides."""

from __future__ import annotations

import pytest

from runner.display import display


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web1 1.0-1+deb12u1", "web1 1.0-1+deb12u1"),
        ("Ünïcødé 日本", "Ünïcødé 日本"),
        ("\x1b[31mred", "\u2039U+001B\u203a[31mred"),
        ("a\u202egnp.exe", "a\u2039U+202E\u203agnp.exe"),
        ("zero\u200bwidth", "zero\u2039U+200B\u203awidth"),
        ("bell\x07 nul\x00", "bell\u2039U+0007\u203a nul\u2039U+0000\u203a"),
        ("c1\x9b31m", "c1\u2039U+009B\u203a31m"),
        ("two\nlines", "two\u2039U+000A\u203alines"),
        ("separator\u2028", "separator\u2039U+2028\u203a"),
        ("lone \udc80 surrogate", "lone \u2039U+DC80\u203a surrogate"),
        ("tag\U000e0041", "tag\u2039U+E0041\u203a"),
        ("filler\u3164", "filler\u2039U+3164\u203a"),
        ("not a character \uffff", "not a character \u2039U+FFFF\u203a"),
        ("", ""),
    ],
)
def test_steering_and_unseen_characters_are_written_out(text: str, shown: str) -> None:
    assert display(text) == shown


def test_log_excerpt_keeps_its_lines_and_tabs_but_nothing_else() -> None:
    assert display("one\n\ttwo\r\x1b", multiline=True) == "one\n\ttwo\u2039U+000D\u203a\u2039U+001B\u203a"


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert display("x" * 12, longest=10) == "x" * 10 + " […+2]"
