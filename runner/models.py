"""Judges the data of a file by its model, and tells every problem in the words of a reader of that file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from runner import errors, source
from runner.canonical import canonical_json
from runner.source import Problem, Source, SourceError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)

_TYPES = {
    "int_type": "expected a whole number",
    "string_type": "expected text",
    "list_type": "expected a list",
    "dict_type": "expected keys with values",
    "model_type": "expected keys with values",
    "bool_type": "expected true or false",
    "string_too_short": "expected words",
    "literal_error": "expected {expected}",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
    "too_short": "expected at least {min_length} of them",
}


def judged(
    model: type[Model], read: Source, *, expected: Mapping[str, str] | None = None, secret: bool = False
) -> Model:
    """Return the data of a file as its model.

    ``expected`` says per key what belongs there, where pydantic's own words would not help the reader. Of a
    file that may hold a ``secret`` no value is repeated.

    Raises:
        SourceError: naming every problem with its line.
    """
    try:
        return model.model_validate(read.data)
    except ValidationError as error:
        raise SourceError(
            read.name, list(_problems(error, model, read, expected or {}, secret=secret))
        ) from error


def kept(model: BaseModel) -> bytes:
    """Return what a run keeps of a model; ``from_kept`` reads it back."""
    return canonical_json(model.model_dump(mode="json"))


def from_kept(model: type[Model], data: bytes, name: str, *, what: str) -> Model:
    """Read what ``kept`` wrote; ``what`` it should hold is for the message.

    Raises:
        VerificationError: when it is something else.
    """
    try:
        found = model.model_validate_json(data)
    except ValidationError as error:
        raise errors.VerificationError(name, f"does not hold {what}") from error
    if kept(found) != data:
        raise errors.VerificationError(name, "is not in the form in which Rawat writes it")
    return found


def path_text(path: source.Path) -> str:
    """Return a path as a reader writes it: ``steps[3].next``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the file"


def meant(written: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'hosts'?`` when one of ``known`` is close to what was written, else nothing."""
    close = difflib.get_close_matches(written, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _problems(
    error: ValidationError, model: type[BaseModel], read: Source, expected: Mapping[str, str], *, secret: bool
) -> Iterator[Problem]:
    told: set[source.Path] = set()
    for item in error.errors(include_url=False):
        path = tuple(part for part in item["loc"] if not _is_union_branch(part))
        if path in told:
            continue  # a union reports one error per branch; the first says enough
        told.add(path)
        if item["type"] == "missing":
            what = "is missing"
        elif item["type"] == "extra_forbidden":
            known = _known_keys(model, path[:-1])
            what = f"is not a known key{meant(str(path[-1]), known)}"
        else:
            what = _wanted(item, path, expected) + ("" if secret else _got(item))
        yield Problem(read.line(path), f"{path_text(path)}: {what}")


def _wanted(item: ErrorDetails, path: source.Path, expected: Mapping[str, str]) -> str:
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])  # a rule of ours, in its own words
    kind = item["type"]
    words = (path and expected.get(str(path[-1]))) or expected.get(kind) or _TYPES.get(kind)
    return words.format(**item.get("ctx", {})) if words else item["msg"]


def _got(item: ErrorDetails) -> str:
    if item["type"] == "value_error" and not isinstance(item["input"], str):
        return ""  # a rule about several keys names them itself
    text = repr(item["input"])
    return f", got {text if len(text) <= 60 else text[:57] + '...'}"  # noqa: PLR2004 - fits one line


def _known_keys(model: type[BaseModel], path: source.Path) -> Iterable[str]:
    found: type[BaseModel] | None = model
    for part in path:
        if found is not None and isinstance(part, str):
            field = next((f for n, f in found.model_fields.items() if part in {n, f.alias}), None)
            found = _model_in(field.annotation) if field else found
    return (field.alias or name for name, field in found.model_fields.items()) if found is not None else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - an annotation may be anything
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _is_union_branch(part: str | int) -> bool:
    """Pydantic puts the tried type of a union into the path; a reader of the file knows no such key."""
    return isinstance(part, str) and (part in {"int", "str", "constrained-str"} or "[" in part)
