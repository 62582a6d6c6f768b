"""Every disturbance, cure and reason that the role can tell has its words for officials, and no other has."""

from __future__ import annotations

import ast
from pathlib import Path

from runner import repair_sentences as sentences
from runner.repairs import CURE_CODES, DISTURBANCES

ROLE = Path(__file__).parents[2] / "roles" / "repair_host"
FILES = [*sorted((ROLE / "module_utils").glob("*.py")), *sorted((ROLE / "library").glob("*.py"))]
# Where a reason stands: the argument of a call, by its position or its name.
_REASON_AT = {"no_cure": 2, "failed": 0, "CannotLookError": 0, "unmeasured": 2}
# Functions that return a reason, or a reason before its detail.
_RETURN_REASONS = {"why_not_startable", "left_behind", "why_not_steady"}


def words(node: ast.AST) -> set[str]:
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def reasons() -> set[str]:
    """Return the reasons that stand in the role, read from its calls, assignments and returns."""
    found: set[str] = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(name), args=args, keywords=keywords):
                    at = _REASON_AT.get(name)
                    given = args[at : at + 1] if at is not None else []
                    given += [word.value for word in keywords if word.arg == "reason"]
                    found |= {each.value for each in given if isinstance(each, ast.Constant)}
                    found |= {w for each in given if isinstance(each, ast.BoolOp) for w in words(each)}
                case ast.Dict(keys, values):
                    pairs = zip(keys, values, strict=True)
                    told = [value for key, value in pairs if key is not None and words(key) == {"reason"}]
                    found |= {each.value for each in told if isinstance(each, ast.Constant)}
                case ast.Assign(targets=[ast.Name("reason")], value=value):
                    found |= {w for w in words(value) if "_" in w}
                case ast.FunctionDef(name=name) if name in _RETURN_REASONS:
                    returns = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
                    found |= {w for part in returns if part for w in words(part) if "_" in w and w.islower()}
                case _:
                    continue
    # Words of the tests in those expressions that are no reasons, and what is empty.
    return {each for each in found if isinstance(each, str)} - {"", "disk_full", "boot_id", "reason"}


def test_reasons_and_their_words_are_the_same() -> None:
    assert reasons() == set(sentences.REASONS)


def test_disturbances_and_cures_have_their_words() -> None:
    assert set(sentences.DISTURBANCES) == set(DISTURBANCES)
    assert (set(sentences.NAMES), set(sentences.CURES)) == (set(CURE_CODES), set(CURE_CODES))


def test_needs_have_their_words() -> None:
    look = ast.parse((ROLE / "module_utils" / "repair_host_look.py").read_text(encoding="utf-8"))
    told = next(
        node.value for node in look.body if isinstance(node, ast.Assign) and words_of_target(node) == "NEEDS"
    )
    assert {word for each in told.values for word in words(each)} == set(sentences.NEEDS)


def words_of_target(node: ast.Assign) -> str:
    target = node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def test_the_role_knows_the_same_disturbances_and_cures() -> None:
    told = "".join(file.read_text(encoding="utf-8") for file in FILES)
    assert [code for code in (*DISTURBANCES, *CURE_CODES) if f'"{code}"' not in told] == []
