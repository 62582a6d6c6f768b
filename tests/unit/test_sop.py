"""The rules of a SOP file: every mistake gives its own message, at its own line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from runner.sop import Available, Sop, duration_seconds, json_schema, parse_sop
from runner.source import SourceError

DATA = Path(__file__).parents[1] / "data"
GOOD = (DATA / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
AVAILABLE = Available(
    playbooks=frozenset({"plan-perbaikan.yml", "perbaiki-server.yml", "pulihkan-server.yml"}),
    suites=frozenset({"uji_server"}),
    documents=frozenset({"daftar-temuan", "hasil-uji"}),
)

Edit = tuple[str, str]
"""What stands in the good SOP, and what stands there instead; it occurs once."""
Told = tuple[str, str]
"""A piece of the line that is wrong (its first occurrence), and the message."""

ANY_ROW = "expected one of 1 to 4 or end"

BROKEN: dict[str, tuple[Edit, list[Told]]] = {
    # Keys and types
    "missing key": (
        ("  nama_sop: Pemeriksaan Server Contoh\n", ""),
        [("identity:", "identity.nama_sop: is missing")],
    ),
    "missing key of a row": (
        ("    kegiatan: Menguji server\n", ""),
        [("- no: 4", "steps[3].kegiatan: is missing")],
    ),
    "unknown key": (
        ("format: 1", "format: 1\nversi: 3"),
        [("versi: 3", "versi: is not a known key")],
    ),
    "misspelt key of a row": (
        ("    hosts: ready", "    host: ready"),
        [("host: ready", "steps[2].action.host: is not a known key; did you mean 'hosts'?")],
    ),
    "duplicate key": (
        ("id: contoh-pemeriksaan", "id: contoh-pemeriksaan\nid: lain"),
        [("id: lain", "duplicate key 'id' (first on line 4)")],
    ),
    "another format": (("format: 1", "format: 2"), [("format: 2", "format: expected 1, got 2")]),
    "number as text": (
        ("  - no: 2", '  - no: "2"'),
        [('- no: "2"', "steps[1].no: expected a whole number, got '2'")],
    ),
    "row zero": (
        ("  - no: 2", "  - no: 0"),
        [("- no: 0", "steps[1].no: expected 1 or more, got 0")],
    ),
    "text where a list belongs": (
        ("identity:", "identity:\n  peralatan: Komputer"),
        [("peralatan:", "identity.peralatan: expected a list, got 'Komputer'")],
    ),
    "number where text belongs": (
        ("  unit: Dinas Contoh", "  unit: 12"),
        [("unit: 12", "identity.unit: expected text, got 12")],
    ),
    "empty text": (
        ("kegiatan: Memeriksa server", 'kegiatan: ""'),
        [('kegiatan: ""', "steps[0].kegiatan: expected words, got ''")],
    ),
    "yes is a word, not a boolean": (
        ("changes: true", "changes: yes"),
        [("changes: yes", "steps[2].action.changes: expected true or false, got 'yes'")],
    ),
    "no steps": (
        ("actors:\n", "actors: []\nactors2:\n"),
        [
            ("actors: []", "actors: expected keys with values, got []"),
            ("actors2:", "actors2: is not a known key; did you mean 'actors'?"),
        ],
    ),
    # Standard time
    "time in English": (
        ("waktu: 10 Menit", "waktu: 10 minutes"),
        [
            (
                "10 minutes",
                "steps[0].waktu: expected a time such as '15 Menit', '2 Jam' or '3 Hari', got '10 minutes'",
            )
        ],
    ),
    "time as a number": (
        ("waktu: 10 Menit", "waktu: 10"),
        [("waktu: 10", "steps[0].waktu: expected a time such as '15 Menit', '2 Jam' or '3 Hari', got 10")],
    ),
    "no time at all": (
        ("waktu: 10 Menit", "waktu: 0 Menit"),
        [
            (
                "0 Menit",
                "steps[0].waktu: expected a time such as '15 Menit', '2 Jam' or '3 Hari', got '0 Menit'",
            )
        ],
    ),
    "validity beyond all dates": (
        ("valid_for: 2 Hari", "valid_for: 99999999 Hari"),
        [
            (
                "99999999",
                (
                    "steps[1].decision.valid_for: expected a time such as '15 Menit', '2 Jam' or '3 Hari', "
                    "got '99999999 Hari'"
                ),
            )
        ],
    ),
    # Where rows lead
    "missing target": (
        ("    next: 2", "    next: 9"),
        [("next: 9", f"row 1: leads to row 9, which does not exist; {ANY_ROW}")],
    ),
    "missing target of an outcome": (
        ("{name: periksa ulang, next: 1}", "{name: periksa ulang, next: 7}"),
        [("next: 7", f"row 2: leads to row 7, which does not exist; {ANY_ROW}")],
    ),
    "target that is a word": (
        ("    next: 2", "    next: selesai"),
        [("next: selesai", "steps[0].next: expected the number of a row, or end, got 'selesai'")],
    ),
    "row twice": (
        ("  - no: 3\n", "  - no: 1\n"),
        [
            (
                "{name: disetujui",
                "row 2: leads to row 3, which does not exist; expected one of 1 to 2, 4 or end",
            ),
            ("- no: 1\n    kegiatan: Memperbaiki", "row 1 stands twice"),
        ],
    ),
    "row that nothing leads to": (
        ("{name: disetujui, next: 3}", "{name: disetujui, next: 4}"),
        [("- no: 3", "row 3: no row leads here")],
    ),
    "neither next nor decision": (
        ("    next: 4\n", ""),
        [
            ("- no: 3", "row 3: needs either 'next' or a decision, not both and not neither"),
            ("- no: 4", "row 4: no row leads here"),
        ],
    ),
    "both next and decision": (
        ("    decision:\n      shows: plan", "    next: 3\n    decision:\n      shows: plan"),
        [("- no: 2", "row 2: needs either 'next' or a decision, not both and not neither")],
    ),
    "span to an earlier row": (
        ("    kegiatan: Menguji server", "    kegiatan: Menguji server\n    span: 2"),
        [("span: 2", "row 4: span must name a later row")],
    ),
    "span to no row": (
        ("    kegiatan: Memeriksa server", "    kegiatan: Memeriksa server\n    span: 8"),
        [("span: 8", "row 1: span must name a later row")],
    ),
    # Actors and gates
    "unknown actor": (
        ("pelaksana: kepala", "pelaksana: bos"),
        [("pelaksana: bos", "row 2: unknown actor 'bos'; known are petugas, kepala")],
    ),
    "unknown second actor": (
        ("pelaksana: kepala", "pelaksana: kepala\n    bersama: tamu"),
        [("bersama: tamu", "row 2: unknown actor 'tamu'; known are petugas, kepala")],
    ),
    "gate without actor": (
        ("    pelaksana: kepala\n", ""),
        [("- no: 2", "row 2: a gate needs pelaksana, the actor who decides")],
    ),
    "outcome named twice": (
        ("{name: dibatalkan, next: end}", "{name: disetujui, next: end}"),
        [("decision:", "steps[1].decision: two outcomes have the same name")],
    ),
    "decision with one outcome": (
        ("        - {name: periksa ulang, next: 1}\n        - {name: dibatalkan, next: end}\n", ""),
        [
            (
                "outcomes:",
                ("row 2: a decision has at least two outcomes, unless the row has a form that it signs"),
            )
        ],
    ),
    "result that an official decides": (
        ("{name: disetujui, next: 3}", "{name: disetujui, when: ok, next: 3}"),
        [("decision:", "steps[1].decision: 'of', 'when' and 'recover' belong to a decision by result")],
    ),
    "result without its failed exit": (
        (", when: failed, recover: {playbook: pulihkan-server.yml}", ""),
        [
            (
                "decision:\n      by: result",
                (
                    "steps[3].decision: a decision by result has exactly two outcomes, "
                    "'when: ok' and 'when: failed'"
                ),
            )
        ],
    ),
    "result without an action": (
        ("    action: {suite: uji_server, hosts: changed}\n", ""),
        [
            (
                "- no: 4",
                "row 4: a decision by result needs an action that has results, or 'of', the row with them",
            ),
            ("- no: 4", "row 4: 'recover' needs a suite, to test again after it"),
        ],
    ),
    "recovery that nobody could test": (
        ("action: {suite: uji_server, hosts: changed}", "action: {playbook: perbaiki-server.yml}"),
        [("- no: 4", "row 4: 'recover' needs a suite, to test again after it")],
    ),
    # Actions
    "two kinds of action": (
        ("{playbook: plan-perbaikan.yml, plan: true}", "{playbook: plan-perbaikan.yml, suite: uji_server}"),
        [
            (
                "action:",
                "steps[0].action: an action is exactly one of form, playbook, suite, document, archive",
            )
        ],
    ),
    "plan by a suite": (
        ("{playbook: plan-perbaikan.yml, plan: true}", "{suite: uji_server, plan: true}"),
        [("action:", "steps[0].action: plan, changes, backup and waves belong to a playbook")],
    ),
    "change without plan": (
        ("plan-perbaikan.yml, plan: true}", "plan-perbaikan.yml}"),
        [("- no: 3", "row 3: changes hosts, but no plan and gate come before it")],
    ),
    "change without gate": (
        (
            "{playbook: plan-perbaikan.yml, plan: true}",
            "{playbook: plan-perbaikan.yml, plan: true, changes: true}",
        ),
        [("- no: 1", "row 1: changes hosts, but no plan and gate come before it")],
    ),
    "playbook with a path": (
        ("playbook: perbaiki-server.yml", "playbook: ../perbaiki-server.yml"),
        [
            (
                "../perbaiki",
                (
                    "steps[2].action.playbook: expected the name of a file in playbooks/, "
                    "such as check-hosts.yml, got '../perbaiki-server.yml'"
                ),
            )
        ],
    ),
    # What the disk does not have
    "unknown playbook": (
        ("playbook: perbaiki-server.yml", "playbook: perbaiki.yml"),
        [
            (
                "playbook: perbaiki.yml",
                (
                    "row 3: there is no playbook 'perbaiki.yml'; there are "
                    "perbaiki-server.yml, plan-perbaikan.yml, pulihkan-server.yml; "
                    "did you mean 'perbaiki-server.yml'?"
                ),
            )
        ],
    ),
    "unknown playbook of a recovery": (
        ("playbook: pulihkan-server.yml", "playbook: pulihkan.yml"),
        [
            (
                "playbook: pulihkan.yml",
                (
                    "row 4: there is no playbook 'pulihkan.yml'; there are "
                    "perbaiki-server.yml, plan-perbaikan.yml, pulihkan-server.yml; "
                    "did you mean 'pulihkan-server.yml'?"
                ),
            )
        ],
    ),
    "unknown suite": (
        ("{suite: uji_server, hosts", "{suite: uji, hosts"),
        [("{suite: uji, ", "row 4: there is no suite 'uji'; there are uji_server")],
    ),
    "unknown suite of a wave's check": (
        ("check: uji_server", "check: uji"),
        [("check: uji", "row 3: there is no suite 'uji'; there are uji_server")],
    ),
    "unknown document": (
        ("document: hasil-uji", "document: hasil"),
        [
            (
                "document: hasil",
                (
                    "row 4: there is no document 'hasil'; there are daftar-temuan, hasil-uji; "
                    "did you mean 'hasil-uji'?"
                ),
            )
        ],
    ),
    # Assumptions
    "assumption about nothing": (
        ("actors:\n", "assumptions:\n  - {field: 'steps[7].next', text: Dugaan}\nactors:\n"),
        [("steps[7]", "the assumption names 'steps[7].next', which is not in the file")],
    ),
    # Several at once
    "three mistakes in one file": (
        (
            "    pelaksana: kepala\n    waktu: 1 Jam",
            "    pelaksana: bos\n    bersama: tamu\n    span: 1\n    waktu: 1 Jam",
        ),
        [
            ("pelaksana: bos", "row 2: unknown actor 'bos'; known are petugas, kepala"),
            ("bersama: tamu", "row 2: unknown actor 'tamu'; known are petugas, kepala"),
            ("span: 1", "row 2: span must name a later row"),
        ],
    ),
}


def edited(edit: Edit) -> str:
    old, new = edit
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times in the good SOP"
    return GOOD.replace(old, new)


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


@pytest.mark.parametrize("case", BROKEN)
def test_each_mistake_is_told_where_it_stands(case: str) -> None:
    edit, told = BROKEN[case]
    text = edited(edit)
    with pytest.raises(SourceError) as caught:
        parse_sop(text, "contoh.yml", AVAILABLE)
    expected = [f"contoh.yml:{line_of(text, piece)}: {message}" for piece, message in told]
    assert str(caught.value).splitlines() == expected


def test_a_sop_without_an_end_is_refused() -> None:
    text = GOOD.replace("next: end", "next: 1")
    with pytest.raises(SourceError, match=r"contoh\.yml:\d+: no row leads to the end"):
        parse_sop(text, "contoh.yml", AVAILABLE)


def test_the_good_sop_is_accepted() -> None:
    assert parse_sop(GOOD, "contoh.yml", AVAILABLE).id == "contoh-pemeriksaan"


@pytest.mark.parametrize(
    ("text", "seconds"), [("15 Menit", 900), ("2 Jam", 7200), ("7 Hari", 604800), ("1 Menit", 60)]
)
def test_standard_times_in_seconds(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["2 jam", "2Jam", "02 Jam", " 2 Jam", "2 Jam ", "2 Minggu", "-1 Jam", "1.5 Jam"]
)
def test_anything_else_is_no_standard_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a standard time"):
        duration_seconds(text)


# What a row needs a reason for ------------------------------------------------------------------------


def sop() -> Sop:
    return parse_sop(GOOD, "contoh.yml")


@pytest.mark.parametrize(
    ("outcome", "needed"), [("disetujui", False), ("periksa ulang", True), ("dibatalkan", True)]
)
def test_sending_back_and_refusing_need_a_reason(outcome: str, needed: bool) -> None:  # noqa: FBT001 - a column
    step = sop().step(2)
    assert step.decision is not None
    assert sop().needs_reason(step, outcome) is needed


def test_a_row_that_leads_to_itself_sends_back() -> None:
    text = GOOD.replace("{name: periksa ulang, next: 1}", "{name: periksa ulang, next: 2}")
    again = parse_sop(text, "contoh.yml")
    assert again.goes_back(again.step(2), 2)


def test_a_row_may_ask_for_a_reason_in_any_case() -> None:
    text = GOOD.replace("{name: disetujui, next: 3}", "{name: disetujui, next: 3, reason: true}")
    asking = parse_sop(text, "contoh.yml")
    decision = asking.step(2).decision
    assert decision is not None
    assert asking.needs_reason(asking.step(2), "disetujui")


# The schema for editors -------------------------------------------------------------------------------


def test_the_json_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_json_schema_accepts_the_good_sop() -> None:
    jsonschema.validate(sop().model_dump(mode="json"), json_schema())


def test_the_json_schema_refuses_an_unknown_key() -> None:
    data = {**sop().model_dump(mode="json"), "versi": 3}
    with pytest.raises(jsonschema.ValidationError, match="versi"):
        jsonschema.validate(data, json_schema())


def test_the_schema_file_is_the_one_the_program_writes() -> None:
    file = DATA.parents[1] / "sops" / "sop.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == json_schema()
