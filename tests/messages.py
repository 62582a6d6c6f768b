"""Every message of the documents, as it stands in templates, modules and their tables; and the catalogue's.

`make messages` brings the catalogue up to date: new messages come in without a translation, for somebody to
write; what no document says any more goes out. A test holds that nothing is missing.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import nodes

from runner import data_tables, repair_sentences, report, sentences, service_sentences, translations
from runner.wording import Sentence

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / report.TEMPLATES
CATALOGUE = translations.catalogue_of("en")
MESSAGES = {"_": 0, "counted": 0, "in_sense": 1}
"""Function -> which of its arguments is the message."""
TABLES = (sentences, service_sentences, repair_sentences, data_tables)
"""Modules whose tables hold messages; their functions look them up."""
SENSES = {"SEVERITIES": "severity"}
"""Table -> the sense in which its words are looked up."""


class Message(NamedTuple):
    """One message: its text, whether it counts things, and the sense it has where a word has several."""

    text: str
    is_counted: bool = False
    sense: str | None = None


@cache
def of_documents() -> dict[Message, set[str]]:
    """Return every message and the files in which it stands."""
    found: dict[Message, set[str]] = {}
    for path in sorted(TEMPLATES.glob("*.j2")):
        for message in _of_template(path):
            found.setdefault(message, set()).add(f"{report.TEMPLATES}/{path.name}")
    for path in sorted((ROOT / "runner").glob("*.py")):
        for message in _of_module(path):
            found.setdefault(message, set()).add(f"runner/{path.name}")
    for module in TABLES:
        for name, value in vars(module).items():
            tabled = _of_table(value, SENSES.get(name)) if name.lstrip("_").isupper() else ()
            for message in tabled:
                found.setdefault(message, set()).add(f"{module.__name__.replace('.', '/')}.py")
    return found


def _of_template(path: Path) -> Iterator[Message]:
    for call in calls(path):
        name = call.node.name  # type: ignore[attr-defined]
        constants = [a.value if isinstance(a, nodes.Const) else None for a in call.args]
        yield _message(name, constants, f"{path.name}:{call.lineno}")


def calls(path: Path) -> Iterator[nodes.Call]:
    """Yield the calls of a template that name a message."""
    parsed = report.environment().parse(path.read_text(encoding="utf-8"))
    for call in parsed.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in MESSAGES:
            yield call


def _of_module(path: Path) -> Iterator[Message]:
    parsed = ast.parse(path.read_text(encoding="utf-8"))
    for call in ast.walk(parsed):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in MESSAGES:
            constants = [a.value if isinstance(a, ast.Constant) else None for a in call.args]
            if constants[MESSAGES[call.func.id]] is not None:
                yield _message(call.func.id, constants, f"{path.name}:{call.lineno}")


def _message(function: str, arguments: list[object], where: str) -> Message:
    text = arguments[MESSAGES[function]]
    sense = arguments[0] if function == "in_sense" else None
    if not isinstance(text, str) or not isinstance(sense, str | None):
        raise TypeError(f"{where}: a message is not a literal")
    return Message(text, function == "counted", sense)


def _of_table(value: object, sense: str | None = None) -> Iterator[Message]:
    if isinstance(value, Sentence):
        texts = (value.what, value.told, value.good, *value.words.values())
        yield from (Message(text) for text in texts if text)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _of_table(each, sense)
    elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
        yield from (Message(pair[1]) for pair in value)  # patterns of reasons
    elif isinstance(value, tuple):
        yield from (Message(text) for text in value if isinstance(text, str))
    elif isinstance(value, str):
        yield Message(value, sense=sense)


def of_catalogue() -> Catalog:
    """Return the English catalogue."""
    return read_po(io.BytesIO(CATALOGUE.read_bytes()), locale="en", abort_invalid=True)


def update() -> tuple[int, int]:
    """Bring the catalogue up to date and return how many messages came in and went out."""
    old = of_catalogue() if CATALOGUE.exists() else Catalog(locale="en")
    new = Catalog(locale="en")
    came = 0
    for message, files in sorted(of_documents().items(), key=lambda item: (min(item[1]), item[0].text)):
        key = (message.text, message.text) if message.is_counted else message.text
        known = old.get(message.text, message.sense)
        string = known.string if known and isinstance(known.string, str) != message.is_counted else None
        came += known is None
        new.add(key, string, locations=[(f, 0) for f in sorted(files)], context=message.sense)
    gone = sum(1 for m in old if m.id and new.get(_text(m.id), m.context) is None)
    written = io.BytesIO()
    write_po(written, new, width=110, include_lineno=False, omit_header=True)
    CATALOGUE.write_bytes(HEADER.encode() + written.getvalue())
    return came, gone


def _text(key: str | Iterable[str]) -> str:
    return key if isinstance(key, str) else next(iter(key))


# Without days and names: the same messages and translations give the same file.
HEADER = r"""# The words of Rawat's documents in English; the Indonesian ones stand in templates and tables.
# CONTRIBUTING.md says how to add one; 'make messages' brings this file up to date.
msgid ""
msgstr ""
"Language: en\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

"""

if __name__ == "__main__":
    came, gone = update()
    print(f"{CATALOGUE}: {came} messages came in, {gone} went out")
    sys.exit(0)
