"""How much room a text takes: widths and lines in Liberation Sans (the metrics of Arial and Helvetica).

The SOP's flowchart is cut into pages before it is laid out, so the height of each row has to be known
beforehand, on every machine the same. Lines are broken at spaces only, where a layout engine may also break
elsewhere: what is told here is never too little. Pure; lengths in millimetres, font sizes in points.
"""

from __future__ import annotations

from collections.abc import Iterator

POINT = 25.4 / 72
# Thousandths of the font size; measured in the font itself by tests/unit/test_letters.py.
_WIDTHS = {
    191: "'",
    222: "ijl\u2018\u2019",
    260: "|",
    278: " !,./:;I[\\]ft\u00a0\u00b7",
    333: "()-`r\u201c\u201d\u2039\u203a",
    334: "{}",
    355: '"',
    389: "*",
    469: "^",
    500: "Jcksvxyz",
    556: "#$0123456789?L_abdeghnopqu\u2013",
    584: "+<=>~",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1000: "\u2014\u2026\u2192",
    1015: "@",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}
_OTHER = 1000
BOLD = 1.09
"""No word of bold letters is wider than the same in regular ones times this."""


def width(text: str, size: float) -> float:
    """Return how wide a line of text is; a letter that is not known counts as a full square."""
    return sum(_WIDTH.get(character, _OTHER) for character in text) * size * POINT / 1000


def lines(text: str, size: float, room: float) -> list[str]:
    """Return the text broken into lines no wider than ``room``; a word that is wider is broken within.

    A line that ends between two words keeps its space, so that the lines joined are the text again.
    """
    broken: list[str] = []
    line, taken, space = "", 0.0, width(" ", size)
    for word in text.split():
        long = width(word, size)
        if line and taken + space + long <= room:
            line, taken = f"{line} {word}", taken + space + long
            continue
        if line:
            broken.append(f"{line} ")
        *whole, line = _pieces(word, size, room) if long > room else [word]
        broken += whole
        taken = width(line, size) if whole else long
    return [*broken, line] if line else broken


def longest_word(text: str, size: float) -> float:
    """Return the width of the widest word."""
    return max((width(word, size) for word in text.split()), default=0.0)


def _pieces(word: str, size: float, room: float) -> Iterator[str]:
    piece, taken = "", 0.0
    for character in word:
        long = width(character, size)
        if piece and taken + long > room:
            yield piece
            piece, taken = "", 0.0
        piece, taken = piece + character, taken + long
    yield piece
