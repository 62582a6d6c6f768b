"""In which language documents are worded: Indonesian, their source, or one that a catalogue holds. Pure.

The words stand in Indonesian where they are used, in templates and tables, and are the keys of a catalogue
(gettext). Everything is Indonesian but for what is done within ``reading``: a copy of a document for readers
of another language. The language is a context variable, so that no sentence has to be handed it: what a
sentence says depends on nothing else.

Rules:
1. A message that a catalogue does not hold is an error: half a translation is none.
2. What fills a place of a message is told in it, and never looked up.
3. Wording of a SOP, names, reasons and what hosts say are data: no catalogue holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from gettext import NullTranslations


class Untranslated(NullTranslations):
    """Behind a catalogue: refuses what the catalogue does not hold."""

    def gettext(self, message: str) -> str:
        """Refuse the message."""
        raise LookupError(f"the catalogue has no translation of {message!r}")

    def pgettext(self, context: str, message: str) -> str:
        """Refuse the message."""
        raise LookupError(f"the catalogue has no translation of {message!r} ({context})")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002 - the standard library's names
        """Refuse the message."""
        raise LookupError(f"the catalogue has no translation of {msgid1!r}")


@dataclass(frozen=True)
class Language:
    """A language: its code, the locale of its numbers and dates, and its words."""

    code: str
    locale: str
    words: NullTranslations


INDONESIAN = Language("id", "id_ID", NullTranslations())
"""What is signed and archived; its words are the messages themselves."""

_current: ContextVar[Language] = ContextVar("language", default=INDONESIAN)


def language() -> Language:
    """Return the language in which is worded now."""
    return _current.get()


def is_original() -> bool:
    """Tell whether is worded in Indonesian, as what officials sign."""
    return language() is INDONESIAN


@contextmanager
def reading(other: Language) -> Iterator[None]:
    """Word what is done within in another language."""
    token = _current.set(other)
    try:
        yield
    finally:
        _current.reset(token)


def _(message: str) -> str:
    """Return a message in the language of now."""
    return language().words.gettext(message)


def in_sense(sense: str, message: str) -> str:
    """Return a message in the language of now, where one Indonesian word has several senses."""
    return language().words.pgettext(sense, message)


def counted(message: str, count: float) -> str:
    """Return a message about so many things; Indonesian words one and many alike."""
    return language().words.ngettext(message, message, 1 if count == 1 else 2)
