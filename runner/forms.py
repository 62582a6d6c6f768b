"""Forms as data: what a row asks a person to fill in, and what counts as an answer. Pure rules, no disk.

A form stands in the SOP file, so that an office needs no Python for it: a title and typed fields. An answer
is judged here and nowhere else, whether it was typed at the prompt, came from a file, or is read back from
the record. What is computed (the total of a table) is computed here and never typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Limits

from runner import source, wording
from runner.display import display

Answers = dict[str, Any]
"""Field -> text, list of text, int, ISO day, or a table's rows {column: value}; without unanswered ones."""

MAX_TEXT, MAX_LINE, MAX_ITEMS = 4000, 500, 200
MAX_NUMBER = 10**15
"""A thousand trillion: more rupiah than any office has, and exact in every program that reads JSON."""
MAX_ATTACHMENTS = 10

_Text = Annotated[str, Limits(min_length=1, max_length=500)]
_Name = Annotated[str, Limits(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
_WHOLE = re.compile(r"^(?:0|[1-9][0-9]{0,15})$")
_GROUPED = re.compile(r"^[1-9][0-9]{0,2}(?:\.[0-9]{3})+$")
_DAY_FIRST = re.compile(r"^([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})$")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Column(_Model):
    """One column of a table in a form."""

    label: _Text
    type: Literal["text", "number", "rupiah", "date", "choice"] = "text"
    required: bool = True
    choices: list[_Text] = []

    @model_validator(mode="after")
    def _fits(self) -> Column:
        if bool(self.choices) != (self.type == "choice"):
            raise ValueError("'choices' and 'type: choice' go together")
        return self


class Field(_Model):
    """One thing that a form asks for."""

    label: _Text = Limits(description="As it stands on the paper form")
    type: Literal[
        "text", "lines", "number", "rupiah", "date", "choice", "choices", "table", "attachments"
    ] = "text"
    required: bool = True
    help: _Text | None = Limits(default=None, description="What to write, for who fills it in")
    choices: list[_Text] = Limits(
        default=[], description="Of a choice: one of these; of choices: any of them"
    )
    columns: dict[_Name, Column] = Limits(default={}, description="Of a table")
    total: list[_Name] = Limits(
        default=[], description="Of a table: these columns multiplied and summed up, in rupiah"
    )

    @model_validator(mode="after")
    def _fits(self) -> Field:
        if bool(self.choices) != (self.type in {"choice", "choices"}):
            raise ValueError("'choices' and 'type: choice' or 'type: choices' go together")
        if bool(self.columns) != (self.type == "table"):
            raise ValueError("'columns' and 'type: table' go together")
        kinds = [self.columns[name].type if name in self.columns else "" for name in self.total]
        if self.total and (kinds.count("rupiah") != 1 or not set(kinds) <= {"rupiah", "number"}):
            raise ValueError(
                "'total' names one column in rupiah, and columns with a number to multiply it by"
            )
        if any(not self.columns[name].required for name in self.total):
            raise ValueError("'total' names columns that must be filled in")
        return self


class Form(_Model):
    """What a person fills in at a row."""

    title: _Text
    fields: Annotated[dict[_Name, Field], Limits(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> Form:
        if sum(1 for field in self.fields.values() if field.type == "attachments") > 1:
            raise ValueError("a form has at most one field for attachments")
        return self

    @property
    def attachments(self) -> Field | None:
        """Return the field for attachments, if the form has one."""
        return next((field for field in self.fields.values() if field.type == "attachments"), None)

    @property
    def typed(self) -> dict[str, Field]:
        """Return the fields that are answered in words: all but attachments, which are files."""
        return {name: field for name, field in self.fields.items() if field.type != "attachments"}


@dataclass(frozen=True)
class Misfit:
    """One answer that is not taken: where it stands, and why."""

    path: source.Path
    message: str


def answers_of(form: Form, data: object) -> tuple[Answers, list[Misfit]]:
    """Return the answers in plain data, and everything that is wrong with them."""
    if not isinstance(data, Mapping):
        return {}, [Misfit((), "expected a line 'field: answer' for each field of the form")]
    taken: Answers = {}
    misfits = [Misfit((key,), _unknown(form, key)) for key in data if key not in form.typed]
    for name, field in form.typed.items():
        value, wrong = _answer(field, data.get(name), (name,))
        misfits += wrong
        if value not in (None, "", []):
            taken[name] = value
        elif field.required and not wrong:
            misfits.append(Misfit((name,), f"{name} ({field.label}): must be filled in"))
    if not misfits:
        over = [name for name, total in totals_of(form, taken).items() if total > MAX_NUMBER]
        misfits += [Misfit((name,), f"{name}: its total is over {MAX_NUMBER}") for name in over]
    return taken, misfits


def _unknown(form: Form, key: str) -> str:
    if key in form.fields:
        return f"{key}: attachments are files; give each with --attach FILE"
    return f"{key} is no field of this form; its fields are {', '.join(form.typed)}"


def _answer(field: Field, given: object, path: source.Path) -> tuple[Any, list[Misfit]]:
    if given is None:
        return None, []
    try:
        if field.type == "table":
            return _table(field, given, path)
        return value_of(field, given), []
    except ValueError as error:
        return None, [Misfit(path, f"{'.'.join(map(str, path))} ({field.label}): {error}")]


def _table(field: Field, given: object, path: source.Path) -> tuple[list[Answers], list[Misfit]]:
    if not isinstance(given, list) or not all(isinstance(row, Mapping) for row in given):
        raise ValueError(f"expected a list of rows, each with {', '.join(field.columns)}")
    if len(given) > MAX_ITEMS:
        raise ValueError(f"holds more than {MAX_ITEMS} rows")
    rows: list[Answers] = []
    misfits: list[Misfit] = []
    for number, row in enumerate(given):
        told, wrong = _row(field, row, (*path, number))
        rows.append(told)
        misfits += wrong
    return rows, misfits


def _row(field: Field, row: Mapping[str, object], path: source.Path) -> tuple[Answers, list[Misfit]]:
    told: Answers = {}
    known = ", ".join(field.columns)
    misfits = [
        Misfit((*path, key), f"{key} is no column of {field.label}; its columns are {known}")
        for key in row
        if key not in field.columns
    ]
    for name, column in field.columns.items():
        where = f"{field.label}, row {int(path[-1]) + 1}, {column.label}"
        try:
            value = None if row.get(name) is None else value_of(column, row[name])
        except ValueError as error:
            misfits.append(Misfit((*path, name), f"{where}: {error}"))
            continue
        if value not in (None, ""):
            told[name] = value
        elif column.required:
            misfits.append(Misfit((*path, name), f"{where}: must be filled in"))
    return told, misfits


def value_of(field: Field | Column, given: object) -> Any:  # noqa: ANN401 - as the field's type says
    """Return one answer as it is recorded.

    Raises:
        ValueError: saying what is expected and what was given.
    """
    return _TAKEN[field.type](field, given)


def totals_of(form: Form, answers: Answers) -> dict[str, int]:
    """Return for each table with a total what its rows come to, in rupiah."""
    found = {}
    for name, field in form.fields.items():
        if field.total:
            found[name] = sum(total_of(field, row) for row in answers.get(name, []))
    return found


def total_of(field: Field, row: Answers) -> int:
    """Return what one row of a table with a total comes to, in rupiah."""
    product = 1
    for name in field.total:
        product *= row[name]
    return product


def rupiah_text(amount: int) -> str:
    """Return an amount as an office writes it: ``Rp1.250.000``, or ``Rp1,250,000`` in English."""
    return f"Rp{wording.number(amount)}"


def skeleton(form: Form) -> Iterator[str]:
    """Yield the lines of an empty file to fill in, with what belongs where as comments."""
    yield f"# {form.title}"
    for name, field in form.fields.items():
        must = "" if field.required else " (may stay empty)"
        yield f"# {field.label}: {EXPECTED[field.type]}{must}"
        if field.help:
            yield f"#   {field.help}"
        if field.choices:
            yield f"#   {' | '.join(field.choices)}"
        match field.type:
            case "attachments":
                yield "#   give each file with --attach FILE"
            case "table":
                yield f"{name}:"
                for number, (key, column) in enumerate(field.columns.items()):
                    lead = "  - " if number == 0 else "    "
                    choices = f" | {', '.join(column.choices)}" if column.choices else ""
                    yield f"{lead}{key}:  # {column.label}: {EXPECTED[column.type]}{choices}"
            case _:
                yield f"{name}:"


EXPECTED = {
    "text": "text",
    "lines": "a list, one entry per line",
    "number": "a whole number",
    "rupiah": "an amount such as 1250000 or Rp1.250.000",
    "date": "a day such as 2026-11-21 or 21-11-2026",
    "choice": "one of the choices",
    "choices": "a list of some of the choices",
    "table": "rows",
    "attachments": "PDF, JPEG or PNG files",
}


def _text(_field: Field | Column, given: object) -> str:
    return _words(given, MAX_TEXT)


def _words(given: object, longest: int) -> str:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)  # YAML takes a bare number for one; on a form it is what somebody wrote
    text = given.strip() if isinstance(given, str) else None
    if text is None:
        raise ValueError(f"expected text, got {_shown(given)}")
    for character in text:
        if display(character, multiline=True) != character:
            raise ValueError(f"holds a character that cannot be seen: U+{ord(character):04X}")
    if len(text) > longest:
        raise ValueError(f"is longer than {longest} characters: {len(text)}")
    return text


def _lines(_field: Field | Column, given: object) -> list[str]:
    given = _list(given, EXPECTED["lines"])
    if len(given) > MAX_ITEMS:
        raise ValueError(f"holds more than {MAX_ITEMS} entries")
    taken = [_words(each, MAX_LINE) for each in given]
    if "" in taken:
        raise ValueError("an entry of the list is empty")
    return taken


def _number(_field: Field | Column, given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        number = given
    elif isinstance(given, str) and _WHOLE.match(given.strip()):
        number = int(given)
    else:
        raise ValueError(f"expected {EXPECTED['number']}, got {_shown(given)}")
    return _within(number)


def _rupiah(_field: Field | Column, given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return _within(given)
    text = given.strip() if isinstance(given, str) else ""
    text = re.sub(r"^Rp\.?\s*", "", text, flags=re.IGNORECASE).removesuffix(",-").removesuffix(",00")
    if _GROUPED.match(text):
        text = text.replace(".", "")
    if not _WHOLE.match(text):
        raise ValueError(f"expected {EXPECTED['rupiah']}, got {_shown(given)}")
    return _within(int(text))


def _within(number: int) -> int:
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError(f"expected a number from 0 to {MAX_NUMBER}, got {number}")
    return number


def _date(_field: Field | Column, given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    day_first = _DAY_FIRST.match(text)
    if day_first:
        text = f"{day_first[3]}-{int(day_first[2]):02d}-{int(day_first[1]):02d}"
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"expected {EXPECTED['date']}, got {_shown(given)}") from None


def _choice(field: Field | Column, given: object) -> str:
    if given not in field.choices:
        raise ValueError(f"expected one of {', '.join(field.choices)}, got {_shown(given)}")
    return str(given)


def _choices(field: Field | Column, given: object) -> list[str]:
    given = _list(given, f"a list of some of {', '.join(field.choices)}")
    taken = [_choice(field, each) for each in given]
    return [each for each in field.choices if each in taken]


def _list(given: object, expected: str) -> list[object]:
    listed = given if isinstance(given, list) else None
    if listed is None:
        raise ValueError(f"expected {expected}, got {_shown(given)}")
    return listed


def _shown(given: object) -> str:
    text = display(repr(given))
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - fits one line


_TAKEN: dict[str, Callable[[Field | Column, object], Any]] = {
    "text": _text,
    "lines": _lines,
    "number": _number,
    "rupiah": _rupiah,
    "date": _date,
    "choice": _choice,
    "choices": _choices,
}


def read_form(form: Form, text: str, name: str) -> Answers:
    """Return the answers in the text of a file.

    Raises:
        SourceError: naming every problem with its line.
    """
    read = source.read(text, name)
    answers, misfits = answers_of(form, read.data)
    if misfits:
        problems = [source.Problem(read.line(misfit.path), misfit.message) for misfit in misfits]
        raise source.SourceError(name, problems, hint="mend the file and give it again; nothing was recorded")
    return answers
