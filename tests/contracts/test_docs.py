"""What the documentation shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.notices import parse_settings
from runner.sop import parse_sop
from runner.windows import parse_windows
from runner.workspace import Workspace

ROOT = Path(__file__).parents[2]


def test_the_sop_and_the_windows_that_the_guide_shows_are_good_ones() -> None:
    page = (ROOT / "docs" / "writing-a-sop.md").read_text(encoding="utf-8")
    shown, forms, calendar, tested = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert parse_windows(calendar, "windows.yml").min_minutes == 30

    with_form = shown.replace("steps:", f"{forms}steps:").replace(
        "action: {archive: true}", "action: {form: usulan}"
    )
    assert list(parse_sop(with_form, "guide").forms) == ["usulan"]
    assert [step.no for step in parse_sop(shown, "guide", Workspace(ROOT).available()).steps] == [1, 2, 3]
    # The row that tests is Surakarta's, without its witness.
    surakarta = (ROOT / "sops" / "surakarta-system-update.yml").read_text(encoding="utf-8")
    assert tested in surakarta.replace("      witness: true\n", "")


def test_the_guide_names_every_playbook_that_a_row_may_have() -> None:
    page = (ROOT / "docs" / "writing-a-sop.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([a-z-]+\.yml)` \|", page, re.MULTILINE))
    # The runner calls these two by itself, beside a row.
    own = {"reboot-controller.yml", "release-hosts.yml"}
    assert named == {path.name for path in (ROOT / "playbooks").glob("*.yml")} - own


def test_the_row_that_the_readme_shows_is_the_row_of_the_sop() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    sop = (ROOT / "sops" / "surakarta-system-update.yml").read_text(encoding="utf-8")

    # The README explains two values in comments; the row itself is to the letter.
    assert re.sub(r" +#.*", "", shown).strip() in sop


def test_the_settings_that_the_page_about_notices_shows_are_good_ones() -> None:
    page = (ROOT / "docs" / "notices.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert parse_settings(shown, "notify.yml").remind_after == "1 Hari"


@pytest.mark.parametrize(
    ("sop", "title"),
    [
        ("surakarta-system-update", "Surakarta"),
        ("palembang-information-system-maintenance", "Palembang"),
    ],
)
def test_the_page_about_documents_names_every_output_of_both_sops(sop: str, title: str) -> None:
    page = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")
    part = next(part for part in page.split("\n## ") if part.partition("\n")[0].endswith(f"({title})"))
    told = set()
    for rows, output, template in re.findall(r"^\| ([0-9, ]+) \| ([^|]+) \| ([^|]+) \|", part, re.MULTILINE):
        document = template.strip("` ") if template.startswith("`") else None
        told |= {(int(row), output, document) for row in rows.split(",")}
    steps = parse_sop((ROOT / "sops" / f"{sop}.yml").read_text(encoding="utf-8"), sop).steps
    assert told == {(step.no, output.name, output.document) for step in steps for output in step.output}
