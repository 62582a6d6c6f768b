"""Text that a person typed, as an argument or at a prompt: is it words that a record can hold and show?

Checked where it comes in, so that everything behind may rely on it. What hosts say is another matter
(``display``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import typer

from runner import errors
from runner.display import display

LONGEST = 4096
"""Characters of a reason; names are far shorter."""
LONGEST_NAME = 200
_FIRST_SURROGATE, _LAST_SURROGATE = "\ud800", "\udfff"


def problem(text: str, longest: int = LONGEST) -> str | None:
    """Return why a text is not taken, or None when it is."""
    if any(_FIRST_SURROGATE <= character <= _LAST_SURROGATE for character in text):
        # Python's stand-ins for bytes that are no UTF-8; no file and no signature could hold them.
        return "is not UTF-8 text"
    for place, character in enumerate(text, start=1):
        if display(character) != character:
            return f"holds a character that cannot be seen: U+{ord(character):04X}, the {place}. of it"
    if len(text) > longest:
        return f"is longer than {longest} characters: {len(text)}"
    return None


def _taken(longest: int) -> Callable[[typer.CallbackParam, str | None], str | None]:
    def require(param: typer.CallbackParam, value: str | None) -> str | None:
        wrong = problem(value, longest) if value else None
        if wrong:
            # An option's own name begins with dashes; an argument is called by what its help shows.
            what = param.opts[0] if param.opts[0].startswith("-") else param.opts[0].upper()
            raise errors.InputError(f"{what} {wrong}", hint="type it as plain text, in one line")
        return value

    return require


words = _taken(LONGEST)
"""Callback of an option that takes a reason."""
name = _taken(LONGEST_NAME)
"""Callback of an option that takes an id or another short word."""


def day(text: str | None, option: str = "") -> date | None:
    """Return the day that was typed; None for nothing.

    Raises:
        InputError: when it is none; ``option`` is where it was given.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        what = f"{option} {text!r}".strip()
        raise errors.InputError(f"{what} is no day", hint="expected one such as 2026-11-21") from error


def read_line(question: str, read: Callable[[str], str] = input) -> str:
    """Ask until the answer is text that can be taken."""
    while True:
        try:
            answer = read(question)
        except UnicodeDecodeError:
            wrong: str | None = "is not UTF-8 text"
        else:
            wrong = problem(answer)
            if wrong is None:
                return answer
        print(f"     what was typed {wrong}; please type it again")
