"""Make text that came from somewhere else safe to look at.

Host names, package names, log lines and reasons may hold characters that a terminal obeys, that turn the
reading direction round, or that cannot be seen. ``display`` writes each of them out by its number, U+202E
between single angle quotation marks, so that what is shown is what is there. It is the one function for
this: documents, screens and tables use it alike. Escaping for HTML is another matter and stays with the
templates.
"""

from __future__ import annotations

import unicodedata

TRUNCATED = "[truncated]"
"""Marks what was cut, or not taken at all, because a host sent too much of it."""
LONGEST = 4000
"""Characters shown of one text; a host must not be able to fill a document."""

# Categories whose members steer or cannot be seen: control, format (bidi, zero width), surrogate, private,
# and the two separators that break a line without being a newline.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters and symbols that are drawn as nothing (Hangul fillers, empty braille cell).
_UNSEEN_CHARACTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# A spreadsheet takes what begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PLANE_END = 0xFFFE
_NONCHARACTER_FIRST, _NONCHARACTER_LAST = 0xFDD0, 0xFDEF


def display(text: str, *, multiline: bool = False, longest: int = LONGEST) -> str:
    """Return the text with every steering or unseen character written out.

    Args:
        text: what somebody else wrote.
        multiline: keep line feeds and tabs (log excerpts) instead of writing them out.
        longest: characters kept; what was cut off is counted at the end.
    """
    kept = text[:longest]
    shown = "".join(_written_out(character, multiline=multiline) for character in kept)
    cut = len(text) - len(kept)
    return f"{shown} […+{cut}]" if cut else shown


def cell(text: str) -> str:
    """Return the text as a cell of a CSV file, which a spreadsheet takes for words and no formula."""
    shown = display(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _written_out(character: str, *, multiline: bool) -> str:
    if multiline and character in "\n\t":
        return character
    return f"\u2039U+{ord(character):04X}\u203a" if _is_unseen(character) else character


def _is_unseen(character: str) -> bool:
    if " " <= character <= "~":
        return False
    if character in _UNSEEN_CHARACTERS or unicodedata.category(character) in _UNSEEN_CATEGORIES:
        return True
    return _is_noncharacter(ord(character))


def _is_noncharacter(point: int) -> bool:
    # The last two code points of every plane and one block are no characters; XML and fonts refuse them.
    return point & _PLANE_END == _PLANE_END or _NONCHARACTER_FIRST <= point <= _NONCHARACTER_LAST
