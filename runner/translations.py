"""The languages in which documents can be read beside Indonesian, out of their catalogues.

A catalogue is a gettext .po file in the package. It is compiled when it is asked for, so that there is no
second file which could be older than it (docs/adr/0043).
"""

from __future__ import annotations

import io
from functools import cache
from gettext import GNUTranslations
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from runner import errors
from runner.language import Language, Untranslated

LOCALES = {"en": "en_GB"}
"""Language -> the locale of its numbers and dates."""
_FOLDER = Path(__file__).parent / "locale"


def catalogue_of(code: str) -> Path:
    """Return where the catalogue of a language is."""
    return _FOLDER / code / "LC_MESSAGES" / "rawat.po"


@cache
def language_of(code: str) -> Language:
    """Return a language with its catalogue.

    Raises:
        InputError: when documents cannot be read in it.
    """
    if code not in LOCALES:
        known = ", ".join(LOCALES)
        raise errors.InputError(
            f"--lang: documents cannot be read in {code!r}; there is {known}",
            hint="Indonesian is the language of the documents themselves: 'rawat documents' without --lang",
        )
    compiled = io.BytesIO()
    with catalogue_of(code).open("rb") as stream:
        write_mo(compiled, read_po(stream, locale=code, abort_invalid=True))
    compiled.seek(0)
    words = GNUTranslations(compiled)
    words.add_fallback(Untranslated())
    return Language(code, LOCALES[code], words)
