"""Every code a judge can give has its sentence, and every sentence a judge that can give it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from runner.sentences import KINDS, SENTENCES

JUDGES = Path(__file__).parents[2] / "runner" / "judges"
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
_MAKERS = {"finding", "unmeasured", "at_most", "at_least"}
JUDGED = sorted(path.stem for path in JUDGES.glob("*.py") if path.stem in KINDS)


def codes(kind: str) -> set[str]:
    """Return the codes that stand in a judge: first arguments, those a loop goes through, and ``CODES``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((JUDGES / f"{kind}.py").read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(name), args=[ast.Constant(str(code)), *_]) if name in _MAKERS:
                found.add(code)
            case ast.Assign(targets=[ast.Name("CODES")], value=value):
                found |= {part.value for part in ast.walk(value) if isinstance(part, ast.Constant)}
            case ast.For(target=ast.Name("code"), iter=ast.Tuple(elts)):
                found |= {part.value for part in elts if isinstance(part, ast.Constant)}
            case ast.Call(func=ast.Name(name), args=[first, *_]) if name in _MAKERS:
                # Then it is the name of such a loop; anything else could not be read here.
                assert isinstance(first, ast.Name), f"{kind}: line {node.lineno}: write the code there"
                assert first.id == "code", f"{kind}: line {node.lineno}: write the code there"
    return found


@pytest.mark.parametrize("kind", JUDGED)
def test_codes_and_sentences_are_the_same(kind: str) -> None:
    found = codes(kind)
    assert (found, [code for code in found if not _CODE.fullmatch(code)]) == (
        set(SENTENCES[kind]),  # type: ignore[index]  # judges are named after kinds
        [],
    )


def test_every_kind_has_its_table() -> None:
    assert set(SENTENCES) == set(KINDS)


def test_kinds_have_their_judges() -> None:
    assert {"computer", "website"} <= set(JUDGED)
