"""A SOP or roster that somebody or something broke is told in one way, never by a traceback. Row 43."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from runner import errors
from runner.officials import load_roster
from runner.sop import parse_sop

ROOT = Path(__file__).parents[2]
SOP = (ROOT / "sops" / "surakarta-system-update.yml").read_text(encoding="utf-8")
ROSTER = (ROOT / "inventory" / "lab" / "officials.yml").read_text(encoding="utf-8")
PIECES = [
    "\t",
    "\ufeff",
    "\x00",
    "\x1b",
    "\u202e",
    "no",
    "1e999",
    "-",
    "{",
    "[",
    "]",
    "}",
    ": ",
    "&a",
    "*a",
    "<<: *a",
    "!!python/object/apply:os.system [id]",
    "!!binary x",
    "!!timestamp 2026-99-99",
    "? x",
    "|",
    ">",
    "%YAML 9.9",
    "---",
    "...",
    "'",
    '"',
    "0o777",
    "1_000",
    "~",
    "2026-02-30",
    ".inf",
    ".nan",
    "9" * 5000,
    "[" * 3000,
    "- " * 500,
    "{a: " * 500,
    "&x [*x]",
    "a: &b {c: *b}",
    "\r",
    "\u2028",
    "\ud7ff",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "=",
]


def mutated(text: str, seed: int) -> str:
    """Return the text with one to four accidents in it."""
    chance = random.Random(seed)  # noqa: S311 - the same accidents in every run
    lines = text.splitlines()
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                lines[at] += chance.choice(PIECES)
            case 1:
                lines[at] = lines[at].partition(":")[0] + ": " + chance.choice(PIECES)
            case 2:
                lines.insert(at, lines[chance.randrange(len(lines))])
            case 3:
                del lines[at]
            case 4:
                lines[at] = lines[at][chance.randrange(len(lines[at]) + 1) :]
            case _:
                lines[at] = " " * chance.randrange(9) + chance.choice(PIECES) + lines[at].strip()
        lines = lines or [""]
    return "\n".join(lines) + "\n"


SEEDS = [
    range(30),
    pytest.param(range(30, 400), marks=pytest.mark.campaign),
]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_a_broken_sop_is_told_with_its_line(seeds: range) -> None:
    told: list[str] = []
    for seed in seeds:
        try:
            parse_sop(mutated(SOP, seed), "broken.yml")
        except errors.InputError as error:
            told.append(str(error))
    assert [text for text in told if not text.startswith("broken.yml")] == []
    assert len(told) > len(seeds) // 2


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_a_broken_roster_is_told_with_its_line(seeds: range, tmp_path: Path) -> None:
    path = tmp_path / "officials.yml"
    told: list[str] = []
    for seed in seeds:
        path.write_text(mutated(ROSTER, seed), encoding="utf-8")
        try:
            load_roster(path)
        except errors.InputError as error:
            told.append(str(error))
    assert [text for text in told if str(path) not in text] == []
    assert len(told) > len(seeds) // 2


@pytest.mark.parametrize("text", ["", "\n", "5", "- a", BOMB, "x" * 10_000_000, "a: " + "[" * 100_000])
def test_what_is_no_sop_and_no_roster_at_all_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "officials.yml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(errors.InputError, match=r"broken\.yml"):
        parse_sop(text, "broken.yml")
    with pytest.raises(errors.InputError, match=r"officials\.yml"):
        load_roster(path)
