"""How much room a text takes: the widths are the font's, and the lines are the text."""

from __future__ import annotations

from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

from runner import letters

FONTS = Path("/usr/share/fonts/truetype/liberation")


def test_widths_are_those_of_the_font() -> None:
    font = TTFont(FONTS / "LiberationSans-Regular.ttf")
    names, widths, em = font.getBestCmap(), font["hmtx"], font["head"].unitsPerEm
    real = {c: widths[names[ord(c)]][0] * 1000 / em for c in letters._WIDTH if c != "\u00a0"}

    assert {c: letters._WIDTH[c] for c in real} == {
        c: pytest.approx(width, abs=0.6) for c, width in real.items()
    }


@pytest.mark.parametrize(
    "word", ["Informatika", "Pengelola Sistem dan Jaringan", "JF Pranata Komputer Ahli Muda"]
)
def test_bold_letters_are_no_wider_than_is_counted_with(word: str) -> None:
    font = TTFont(FONTS / "LiberationSans-Bold.ttf")
    names, widths, em = font.getBestCmap(), font["hmtx"], font["head"].unitsPerEm
    bold = sum(widths[names[ord(c)]][0] for c in word) * 7 * letters.POINT / em

    assert bold <= letters.width(word, 7 * letters.BOLD)


@given(st.text(max_size=200), st.floats(5, 60))
def test_lines_joined_are_the_text_and_none_is_too_wide(text: str, room: float) -> None:
    lines = letters.lines(text, 7.4, room)

    assert "".join(lines) == " ".join(text.split())
    assert all(letters.width(line.rstrip(), 7.4) <= room + 1e-6 or len(line.rstrip()) == 1 for line in lines)
    assert all(lines)


def test_an_unknown_letter_counts_as_a_full_square() -> None:
    assert letters.width("\u732b", 10) == pytest.approx(10 * letters.POINT)
