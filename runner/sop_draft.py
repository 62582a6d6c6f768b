"""A new SOP as text, from answers; and what is still open in it, told at its top. Pure rules, no disk."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from runner import source
from runner.sop_check import Judgement

_HEAD = "---\n# yaml-language-server: $schema=sop.schema.json\n"
_BLOCKS = re.compile(r"^(?=(?:identity|assumptions|actors|forms|steps):|  - no:)", re.MULTILINE)
_KEEP = re.compile(r"[^a-z0-9]+")
_LONGEST = 50
"""Letters of a name made from words; the model takes 60."""


def name_of(words: str, taken: Iterable[str] = ()) -> str:
    """Return a short name for words, as ids and actors have them: ``Kepala Seksi`` is ``kepala-seksi``."""
    name = _KEEP.sub("-", words.lower()).strip("-")[:_LONGEST].strip("-")
    if not name[:1].isalpha():
        name = f"x-{name}".strip("-")
    used, base, number = set(taken), name, 2
    while name in used:
        name, number = f"{base}-{number}", number + 1
    return name


def text_of(data: dict[str, Any]) -> str:
    """Return a SOP file that says what ``data`` says, with an empty line before each row."""
    return _HEAD + _BLOCKS.sub("\n", source.text(data))


def with_open_points(text: str, judged: Judgement) -> str:
    """Return the text with a TODO at its top, naming its line, for each error that ``sop check`` finds."""
    todo = [(problem.line + len(judged.errors), problem.message) for problem in judged.errors]
    return text.replace(_HEAD, _HEAD + "".join(f"# TODO line {line}: {what}\n" for line, what in todo), 1)
