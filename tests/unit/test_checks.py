"""The shape of what a check publishes, the sentences made from it, and which hosts are computers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from runner.checks import Check, CheckFinding
from runner.evidence import accepted
from runner.executors.base import HostResult
from runner.findings import Results
from runner.judges.base import at_least, at_most, finding, unmeasured
from runner.kinds import computers, kinds_of
from runner.sentences import SENTENCES, sentence

DISK = {
    "code": "disk_space",
    "subject": "/var",
    "severity": "warning",
    "measured": 91.4,
    "unit": "%",
    "threshold": 85,
}
GROUPS = {"web": ["web1"], "websites": ["situs"], "printers": ["printer-tu", "situs"]}


def worded(**other: Any) -> str:  # noqa: ANN401 - any field
    return sentence("computer", CheckFinding.model_validate(DISK | other))


def test_results_hold_what_the_role_of_the_host_s_kind_published() -> None:
    check = {"kind": "printer", "facts": {"state": 3}, "findings": [DISK]}
    found = Results.model_validate({"check_printer": check, "check_host": {}}).check
    assert (found and found.kind, found and found.findings[0].measured) == ("printer", 91.4)


@pytest.mark.parametrize(("digest", "is_taken"), [("a" * 64, True), ("a" * 63, False), ("", False)])
def test_a_kept_configuration_is_named_by_its_digest(digest: str, is_taken: bool) -> None:  # noqa: FBT001 - of a table
    kept = {"back_up_routerboard": {"file": "router/run.rsc", "bytes": 10, "sha256": digest}}
    result = HostResult("router", "ok", kept)
    assert (accepted(result, changes=False).status == "ok") is is_taken


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": "fine"},
        {"code": "Disk space"},
        {"measured": [1]},
        {"measured": float("nan")},
        {"subject": 5},
    ],
)
def test_a_finding_of_another_shape_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CheckFinding.model_validate(DISK | wrong)


def test_values_keep_their_type() -> None:
    values = [CheckFinding.model_validate(DISK | {"measured": m}).measured for m in (5, 5.5, "5", None)]
    assert [(type(value), value) for value in values] == [
        (int, 5),
        (float, 5.5),
        (str, "5"),
        (type(None), None),
    ]


def test_what_is_not_good_is_told_worst_first() -> None:
    severities = ["good", "notice", "unmeasured", "critical", "warning", "critical"]
    findings = [DISK | {"severity": s, "subject": str(n)} for n, s in enumerate(severities)]
    check = Check.model_validate({"kind": "computer", "findings": findings})
    assert [f.subject for f in check.not_good] == ["3", "5", "4", "2", "1"]


def test_a_finding_is_one_sentence() -> None:
    assert worded() == "Ruang disk /var: terpakai 91,4%; batas 85%."


def test_without_a_threshold_none_is_told() -> None:
    assert worded(threshold=None, measured=5) == "Ruang disk /var: terpakai 5%."


def test_what_is_unmeasured_says_why_and_never_a_value() -> None:
    told = worded(severity="unmeasured", measured=None, why="tidak menjawab")
    assert told == "Ruang disk /var: tidak dapat diukur (tidak menjawab)."


def test_what_is_good_is_not_told_as_if_it_were_bad() -> None:
    good = {"code": "unit_failed", "subject": "", "severity": "good", "measured": None, "threshold": None}
    assert worded(**good) == "Layanan: tidak ada yang gagal."
    assert (
        worded(**good | {"severity": "warning", "subject": "a.service"})
        == "Layanan a.service: gagal berjalan."
    )


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("needs_root", "memerlukan hak root"),
        ("listens_elsewhere", "hanya menerima sambungan pada alamat lain"),
        ("3 more were not looked at", "3 lainnya tidak diperiksa"),
        ("systemctl ended with 1", "systemctl berakhir dengan galat 1"),
        ("OSError: something else", "OSError: something else"),
    ],
)
def test_why_something_was_not_measured_is_told_in_indonesian_where_it_is_ours(why: str, told: str) -> None:
    sentence_told = worded(severity="unmeasured", measured=None, why=why)
    assert sentence_told == f"Ruang disk /var: tidak dapat diukur ({told})."


def test_a_host_cannot_put_values_into_its_own_name() -> None:
    assert worded(subject="{measured}{threshold}[x]") == (
        "Ruang disk {measured}{threshold}[x]: terpakai 91,4%; batas 85%."
    )


def test_a_code_of_a_newer_version_is_told_all_the_same() -> None:
    assert worded(code="gravity", subject="bumi") == "gravity bumi: 91,4%; 85%."


@pytest.mark.parametrize("kind", SENTENCES)
def test_sentences_use_places_and_brackets_that_exist(kind: str) -> None:
    wrong = []
    for code, words in SENTENCES[kind].items():  # type: ignore[index]  # the table's own keys
        told = sentence(
            kind,  # type: ignore[arg-type]  # as above
            CheckFinding.model_validate(DISK | {"code": code, "subject": "X", "measured": 7, "threshold": 8}),
        )
        lost = [brace for brace in "{}[]" if brace in told]
        if lost or ("{subject}" in words.what + words.told) != ("X" in told):
            wrong.append(told)
    assert wrong == []


@pytest.mark.parametrize(
    ("measured", "severity", "threshold"),
    [(84.9, "good", 85), (85, "warning", 85), (94.9, "warning", 85), (95, "critical", 95)],
)
def test_at_a_threshold_it_is_bad_already(measured: float, severity: str, threshold: int) -> None:
    told = at_most("disk_space", "/", measured, "%", 85, 95)
    assert (told["severity"], told["threshold"]) == (severity, threshold)


@pytest.mark.parametrize(
    ("measured", "severity", "threshold"),
    [(31, "good", 30), (30, "warning", 30), (8, "warning", 30), (7, "critical", 7)],
)
def test_what_is_bad_when_low(measured: float, severity: str, threshold: int) -> None:
    told = at_least("certificate", "/x", measured, "days", 30, 7)
    assert (told["severity"], told["threshold"]) == (severity, threshold)


def test_without_thresholds_a_value_is_told_and_not_judged() -> None:
    assert at_most("load", "", 99, "", None, None) == finding("load", "", "good", 99)


def test_long_words_of_a_host_are_cut() -> None:
    told = unmeasured("disk_space", "/" * 1000, "x" * 1000)
    assert (len(told["subject"]), len(told["why"])) == (300, 300)


def test_what_judges_build_has_the_shape() -> None:
    told = [
        at_most("load", "", 1, "", 2, 4),
        unmeasured("load", "", "why"),
        finding("kernel", "", "warning", "6.1", "", "6.2"),
    ]
    assert len(Check.model_validate({"kind": "computer", "findings": told}).findings) == 3


def test_a_host_in_no_group_of_services_is_a_computer() -> None:
    assert (kinds_of("web1", GROUPS), kinds_of("situs", GROUPS)) == (("computer",), ("website", "printer"))


def test_computers_are_all_that_are_no_service() -> None:
    assert computers(("web1", "situs", "printer-tu", "pc06"), GROUPS) == ("web1", "pc06")
