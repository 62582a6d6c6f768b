"""Every code that a judge gives has its sentence, and every sentence a judge that gives it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from runner.sentences import KINDS, SENTENCES

JUDGES = Path(__file__).parents[2] / "runner" / "judges"
GIVES = {"finding", "unmeasured", "at_most", "at_least"}
JUDGED = sorted(path.stem for path in JUDGES.glob("*.py") if path.stem not in {"__init__", "base"})


def codes_given_by(kind: str) -> set[str]:
    """Return the codes in calls, and those that a judge says it gives through variables (``CODES``)."""
    tree = ast.parse((JUDGES / f"{kind}.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(name), args=[ast.Constant(str(code)), *_]) if name in GIVES:
                found.add(code)
            case ast.Assign(targets=[ast.Name("CODES")], value=value):
                found |= {n.value for n in ast.walk(value) if isinstance(n, ast.Constant)}
    return found


def test_every_kind_has_its_table() -> None:
    assert set(SENTENCES) == set(KINDS)


def test_there_are_judges() -> None:
    assert "computer" in JUDGED


@pytest.mark.parametrize("kind", JUDGED)
def test_codes_and_sentences_are_the_same(kind: str) -> None:
    assert codes_given_by(kind) == set(SENTENCES[kind])  # type: ignore[index]  # judges are named after kinds
