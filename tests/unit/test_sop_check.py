"""What a colleague says of a SOP file: each mistake in one sentence at its line, and all at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from runner.officials import Deputy, Official, Roster, Validity
from runner.sop import Available
from runner.sop_check import Staff, judge, require_good
from runner.source import SourceError
from runner.workspace import Workspace

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "tests" / "data" / "contoh-pembaruan.yml").read_text(encoding="utf-8")
AVAILABLE = Available(
    playbooks=frozenset(
        {"plan-perbaikan.yml", "cadangkan-server.yml", "perbaiki-server.yml", "pulihkan-server.yml"}
    ),
    suites=frozenset({"uji_server"}),
    documents=frozenset({"daftar-temuan", "hasil-uji", "laporan"}),
)
PLAYBOOKS = "cadangkan-server.yml, perbaiki-server.yml, plan-perbaikan.yml, pulihkan-server.yml"
TODAY = date(2026, 11, 21)

Edit = tuple[str, str]
"""What stands in the good SOP, and what stands there instead; it occurs once."""
Case = tuple[list[Edit], str, str]
"""The edits, a piece of the line that is wrong (its first occurrence), and the message."""

BEGIN = "    kegiatan: Mulai\n    next: 2\n"
GATE_FIRST = """    kegiatan: Menyetujui
    pelaksana: kepala
    waktu: 1 Jam
    decision:
      shows: WHAT
      outcomes:
        - {name: ya, next: 2}
        - {name: tidak, next: end}
"""
SEND_BACK = "{name: dikembalikan, next: 7}"
PLAN_ROW = "    output: [{name: Daftar Temuan, document: daftar-temuan, version: draft}]\n"
DRAFT = "    output: [{name: Laporan, document: laporan, version: draft}]\n"

# One mistake each, and the one thing that is said of it.
ERRORS: dict[str, Case] = {
    # Where rows lead
    "row that nothing leads to": (
        [("    next: 10", "    next: end")],
        "- no: 10",
        "row 10: no row leads here",
    ),
    "exit to a row that does not exist": (
        [(SEND_BACK, "{name: dikembalikan, next: 70}")],
        "next: 70",
        "row 8: leads to row 70, which does not exist; expected one of 1 to 10 or end",
    ),
    "exit into a gap between the rows": (
        [
            ("  - no: 10\n", "  - no: 12\n"),
            ("    next: 10", "    next: 12"),
            (SEND_BACK, "{name: dikembalikan, next: 10}"),
        ],
        "next: 10}",
        "row 8: leads to row 10, which does not exist; expected one of 1 to 9, 12 or end",
    ),
    "exit without a target": (
        [(SEND_BACK, "{name: dikembalikan}")],
        "{name: dikembalikan}",
        "steps[7].decision.outcomes[1].next: is missing",
    ),
    "row without an exit": (
        [("    kegiatan: Selesai\n    next: end\n", "    kegiatan: Selesai\n")],
        "- no: 10",
        "row 10: needs either 'next' or a decision, not both and not neither",
    ),
    "row that leads to a word": (
        [("    next: 10", "    next: selesai")],
        "next: selesai",
        "steps[8].next: expected the number of a row, or end, got 'selesai'",
    ),
    "two rows without a way out": (
        [("    next: end\n", "    next: 9\n")],
        "- no: 9",
        "rows 9 and 10: lead only to each other; no way out leads to the end",
    ),
    "row that leads only to itself": (
        [("    next: end\n", "    next: 10\n")],
        "- no: 10",
        "row 10: leads only to itself; no way out leads to the end",
    ),
    "nothing that leads to the end": (
        [
            ("    next: end\n", "    next: 9\n"),
            ("{name: dibatalkan, next: end}", "{name: dibatalkan, next: 2}"),
        ],
        "steps:",
        "no row leads to the end",
    ),
    "row that stands twice": (
        [("  - no: 10", "  - no: 9"), ("    next: 10", "    next: end")],
        "- no: 9\n    kegiatan: Selesai",
        "row 9 stands twice",
    ),
    "rows out of order": (
        [
            ("  - no: 9\n", "  - no: 11\n"),
            ("{name: ditetapkan, next: 9}", "{name: ditetapkan, next: 11}"),
        ],
        "- no: 10",
        "row 10 stands after row 11; rows stand in the order of their numbers",
    ),
    "span that ends before it begins": (
        [("    kegiatan: Menguji server\n", "    kegiatan: Menguji server\n    span: 4\n")],
        "span: 4",
        "row 6: span must name a later row",
    ),
    # What a row needs
    "output of a later row": (
        [("kelengkapan: [Daftar Server]", "kelengkapan: [Daftar Server, Hasil Uji]")],
        "Hasil Uji]",
        "row 2: needs 'Hasil Uji', which only row 6 makes, after it",
    ),
    "output of a row that sends the work back here": (
        [(DRAFT, "    kelengkapan: [Laporan Tetap]\n" + DRAFT)],
        "kelengkapan: [Laporan Tetap]\n    output",
        "row 7: needs 'Laporan Tetap', which only row 8 makes, after it",
    ),
    "hosts of a change that nobody made": (
        [("hosts: planned, backup", "hosts: changed, backup")],
        "hosts: changed, backup",
        "row 4: works on 'changed' hosts, but no row with 'changes: true' comes before it",
    ),
    "hosts of a plan that nobody made": (
        [("plan: true}", "plan: true, hosts: ready}")],
        "plan: true, hosts: ready",
        "row 2: works on 'ready' hosts, but no row with 'plan: true' comes before it",
    ),
    "plan that is shown before it is made": (
        [(BEGIN, GATE_FIRST.replace("WHAT", "plan"))],
        "shows: plan",
        "row 1: shows the plan, but no row with 'plan: true' comes before it",
    ),
    "documents that are shown before they are made": (
        [(BEGIN, GATE_FIRST.replace("WHAT", "documents"))],
        "shows: documents",
        "row 1: shows the documents, but no row before it makes one",
    ),
    "draft of no document": (
        [(DRAFT, "    output: [{name: Laporan}]\n")],
        "action: {document: true}",
        "row 7: drafts documents, but no entry of its output names one",
    ),
    "change that nobody decided": (
        [("plan: true}", "plan: true, changes: true}")],
        "- no: 2",
        "row 2: changes hosts, but no plan and gate come before it",
    ),
    # Times and people
    "no standard time": (
        [("    waktu: 10 Menit\n" + PLAN_ROW, PLAN_ROW)],
        "- no: 2",
        (
            "row 2: has no standard time (waktu); where the paper has none, write 'waktu: null' and "
            "an assumption on steps[1].waktu"
        ),
    ),
    "standard time in English": (
        [("waktu: 15 Menit", "waktu: 15 minutes")],
        "15 minutes",
        "steps[7].waktu: expected a time such as '15 Menit', '2 Jam' or '3 Hari', got '15 minutes'",
    ),
    "work that nobody does": (
        [("    kegiatan: Menyusun laporan\n    pelaksana: petugas\n", "    kegiatan: Menyusun laporan\n")],
        "- no: 7",
        "row 7: does something, but pelaksana does not say who",
    ),
    "gate that nobody decides": (
        [("    pelaksana: kepala\n", "    bersama: kepala\n")],
        "- no: 3",
        "row 3: a gate needs pelaksana, the actor who decides",
    ),
    "actor who is none of the SOP's": (
        [("pelaksana: kepala", "pelaksana: bupati")],
        "pelaksana: bupati",
        "row 3: unknown actor 'bupati'; known are petugas, kepala, pengawas",
    ),
    # What the disk does not have
    "playbook that does not exist": (
        [("playbook: cadangkan-server.yml", "playbook: cadangan.yml")],
        "cadangan.yml",
        (
            f"row 4: there is no playbook 'cadangan.yml'; there are {PLAYBOOKS}; did you mean "
            "'cadangkan-server.yml'?"
        ),
    ),
    "playbook of a recovery that does not exist": (
        [("playbook: pulihkan-server.yml", "playbook: balik.yml")],
        "balik.yml",
        f"row 6: there is no playbook 'balik.yml'; there are {PLAYBOOKS}",
    ),
    "suite that does not exist": (
        [("suite: uji_server", "suite: pengujian")],
        "suite: pengujian",
        "row 6: there is no suite 'pengujian'; there are uji_server",
    ),
    "template that does not exist": (
        [("document: hasil-uji", "document: notulensi")],
        "document: notulensi",
        "row 6: there is no document 'notulensi'; there are daftar-temuan, hasil-uji, laporan",
    ),
    # Keys
    "misspelt key": (
        [
            (
                "    waktu: 30 Menit\n    output: [{name: Hasil",
                "    wkatu: 30 Menit\n    output: [{name: Hasil",
            )
        ],
        "wkatu",
        "steps[5].wkatu: is not a known key; did you mean 'waktu'?",
    ),
    "backup that is no playbook": (
        [("{document: true}", "{document: true, backup: true}")],
        "action: {document: true, backup: true}",
        "steps[6].action: plan, changes, backup and waves belong to a playbook",
    ),
    "key that stands twice": (
        [
            (
                "    kegiatan: Membuat cadangan\n",
                "    kegiatan: Membuat cadangan\n    kegiatan: Mencadangkan\n",
            )
        ],
        "kegiatan: Mencadangkan",
        "duplicate key 'kegiatan' (first on line 37)",
    ),
    "refusal that leads on without a reason": (
        [("{name: dibatalkan, next: end}", "{name: Tidak disetujui, next: 7}")],
        "{name: Tidak disetujui",
        (
            "row 3: 'Tidak disetujui' refuses and leads on to row 7 without a reason; write 'reason: true' "
            "there, or 'reason: false' where it refuses nothing"
        ),
    ),
    "refusal that completes the run without a reason": (
        [("{name: dibatalkan, next: end}", "{name: ditolak, next: end, completes: true}")],
        "{name: ditolak",
        (
            "row 3: 'ditolak' refuses and completes the run without a reason; write 'reason: true' "
            "there, or 'reason: false' where it refuses nothing"
        ),
    ),
    "disturbance that stays without a reason": (
        [("{name: dibatalkan, next: end}", "{name: cukup, next: 4, reason: false, unresolved: true}")],
        "{name: cukup",
        "row 3: with 'cukup' a disturbance stays, and reports tell why; write 'reason: true' there",
    ),
    "assumption about nothing": (
        [("actors:\n", "assumptions:\n  - {field: 'steps[70].next', text: Dugaan}\nactors:\n")],
        "steps[70]",
        "the assumption names 'steps[70].next', which is not in the file",
    ),
}

WARNINGS: dict[str, Case] = {
    "change without any backup": (
        [(", backup: true}", "}")],
        "action: {playbook: perbaiki-server.yml",
        "row 5: changes hosts, and a way leads there without a row with 'backup: true'",
    ),
    "change with a way around the backup": (
        [
            (
                "{name: disetujui, next: 4}",
                "{name: disetujui, next: 4}\n        - {name: tanpa cadangan, next: 5, reason: true}",
            )
        ],
        "action: {playbook: perbaiki-server.yml",
        (
            "row 5: changes hosts, and a way leads there without a row with 'backup: true'; "
            "the backup is in row 4"
        ),
    ),
    "exit that leaves rows out without a reason": (
        [("{name: dibatalkan, next: end}", "{name: cukup sekian, next: 7}")],
        "{name: cukup sekian",
        (
            "row 3: 'cukup sekian' leads past row 4, where 'disetujui' leads; if it refuses, write "
            "'reason: true' there, and if not, 'reason: false'"
        ),
    ),
    "refusal that says it is none": (
        [("{name: dibatalkan, next: end}", "{name: belum perlu, next: 7, reason: false}")],
        "{name: belum perlu",
        "row 3: 'belum perlu' sounds like a refusal, and 'reason: false' lets it pass without a reason",
    ),
    "actor who does nothing": (
        [("actors:\n", "actors:\n  tamu: Tamu Contoh\n")],
        "tamu: Tamu",
        "actor 'tamu' (Tamu Contoh) stands in no row",
    ),
    "gate of who operates": (
        [
            ("    pelaksana: kepala\n", "    pelaksana: petugas\n"),
            ("    pelaksana: pengawas\n", "    pelaksana: kepala\n"),
            ("  pengawas: Pengawas Contoh\n", ""),
        ],
        "decision:",
        (
            "row 3: its gate waits for Petugas Contoh, who also does rows 2, 4, 5 and 6; who operates a run "
            "decides none of its gates: a second person must hold that position"
        ),
    ),
    "loop of a report that nobody reads": (
        [
            ("{name: baik, when: ok, next: 7}", "{name: baik, when: ok, next: 8}"),
            ("    action: {document: true}\n    next: 8", "    action: {document: true}\n    next: 6"),
            ("shows: documents", "shows: results"),
            (SEND_BACK, "{name: dikembalikan, next: 6}"),
        ],
        "- no: 6",
        (
            "rows 6 and 7: go round without anybody deciding, so a host that stays broken keeps the run "
            "going for ever"
        ),
    ),
    "loop that nobody ends": (
        [
            (
                "recover: {playbook: pulihkan-server.yml}, next: 7}",
                "recover: {playbook: pulihkan-server.yml}, next: 6}",
            )
        ],
        "- no: 6",
        (
            "row 6: leads back to itself without anybody deciding, so a host that stays broken keeps the run "
            "going for ever"
        ),
    ),
}


def edited(edits: list[Edit]) -> str:
    text = GOOD
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the SOP"
        text = text.replace(old, new)
    return text


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


def told(text: str, staff: Staff | None = None) -> tuple[list[str], list[str]]:
    """Return errors and warnings as a reader sees them, without the file's name."""
    judged = judge(text, "contoh.yml", AVAILABLE, staff)
    return (
        [f"{problem.line}: {problem.message}" for problem in judged.errors],
        [f"{problem.line}: {problem.message}" for problem in judged.warnings],
    )


def test_nothing_is_said_of_a_good_sop() -> None:
    assert told(GOOD) == ([], [])


def test_at_least_twenty_five_mistakes_are_told() -> None:
    assert len(ERRORS) >= 25


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_is_told_in_one_sentence_at_its_line(case: str) -> None:
    edits, piece, message = ERRORS[case]
    text = edited(edits)
    assert told(text)[0] == [f"{line_of(text, piece)}: {message}"]


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_to_be_weighed_is_no_error(case: str) -> None:
    edits, piece, message = WARNINGS[case]
    text = edited(edits)
    assert told(text) == ([], [f"{line_of(text, piece)}: {message}"])


@pytest.mark.parametrize(
    "exit_",
    [
        "{name: ditolak, next: 7, reason: true}",
        "{name: ditolak, next: end}",  # ending the run needs a reason always, and so does going back
        "{name: belum, next: 2}",
        "{name: cukup sekian, next: 7, reason: false}",
        "{name: cukup sekian, next: 4}",
        "{name: cukup sekian, next: 7, reason: true, unresolved: true}",
    ],
)
def test_an_exit_whose_reason_is_settled_is_good(exit_: str) -> None:
    assert told(edited([("{name: dibatalkan, next: end}", exit_)])) == ([], [])


def test_everything_is_told_at_once() -> None:
    cases = ["no standard time", "output of a later row", "suite that does not exist", "draft of no document"]
    text = edited([edit for case in cases for edit in ERRORS[case][0]])
    expected = sorted((line_of(text, ERRORS[case][1]), ERRORS[case][2]) for case in cases)
    assert told(text)[0] == [f"{line}: {message}" for line, message in expected]


def test_rows_that_can_be_read_are_judged_beside_one_that_cannot() -> None:
    cases = ["standard time in English", "suite that does not exist", "work that nobody does"]
    text = edited([edit for case in cases for edit in ERRORS[case][0]])
    expected = sorted((line_of(text, ERRORS[case][1]), ERRORS[case][2]) for case in cases)
    assert told(text)[0] == [f"{line}: {message}" for line, message in expected]


@pytest.mark.parametrize("text", ["", "- a\n", "steps: 5\n", "a: [\n"])
def test_what_is_no_sop_is_told(text: str) -> None:
    judged = judge(text, "contoh.yml", AVAILABLE)
    assert judged.sop is None
    assert judged.errors


def test_a_run_is_not_started_with_what_is_wrong() -> None:
    text = edited(ERRORS["no standard time"][0])
    with pytest.raises(SourceError, match=r"contoh\.yml:16: row 2: has no standard time"):
        require_good(text, "contoh.yml", AVAILABLE)


# What the paper itself says ---------------------------------------------------------------------------


def test_a_time_that_the_paper_does_not_have_is_an_assumption() -> None:
    text = edited([("    waktu: 10 Menit\n" + PLAN_ROW, "    waktu: null\n" + PLAN_ROW)])
    text = text.replace(
        "actors:\n", "assumptions:\n  - {field: 'steps[1].waktu', text: Tidak ada di naskah}\nactors:\n", 1
    )
    errors, (warning,) = told(text)
    assert errors == []
    assert warning.startswith(f"{line_of(text, 'waktu: null')}: row 2: has no standard time (waktu)")
    assert warning.endswith("(assumed: Tidak ada di naskah)")


# Whether the office has the people --------------------------------------------------------------------


def official(name: str, number: int, *positions: str, valid: Validity | None = None) -> Official:
    return Official(
        id=name,
        name=f"Nama {name.title()}",
        nip=f"{number:018d}",
        positions=list(positions),
        key=f"ssh-ed25519 {name}",
        valid=valid or Validity(),
    )


def staff(*officials: Official, operator: int | None = 0, deputies: tuple[Deputy, ...] = ()) -> Staff:
    roster = Roster(office="Dinas Contoh", officials=list(officials), deputies=list(deputies))
    return Staff(roster, None if operator is None else officials[operator], TODAY)


OPERATOR = official("budi", 1, "Petugas Contoh")
HEAD = official("citra", 2, "Kepala Contoh")
OVERSEER = official("dewi", 3, "Pengawas Contoh")


def test_an_office_with_everybody_is_good() -> None:
    assert told(GOOD, staff(OPERATOR, HEAD, OVERSEER)) == ([], [])


def test_an_actor_whom_nobody_is_is_told_with_what_may_have_been_meant() -> None:
    other = official("dewi", 3, "Pengawas  Contoh")
    expected = (
        "actor 'pengawas': nobody in officials.yml holds 'Pengawas Contoh', who is needed in row 8; "
        "did you mean 'Pengawas  Contoh'?"
    )
    assert told(GOOD, staff(OPERATOR, HEAD, other)) == (
        [f"{line_of(GOOD, 'pengawas: Peng')}: {expected}"],
        [],
    )


def test_an_actor_without_a_gate_needs_somebody_too() -> None:
    errors, _ = told(GOOD, staff(HEAD, OVERSEER))
    assert errors == [
        (
            f"{line_of(GOOD, 'petugas: Petugas')}: actor 'petugas': nobody in officials.yml holds "
            "'Petugas Contoh', who is needed in rows 2, 4, 5, 6, 7 and 9"
        ),
        (
            f"{line_of(GOOD, 'decision:')}: row 3 waits for Kepala Contoh, but only the operator "
            "'citra' holds that position in the roster"
        ),
    ]


def test_a_gate_of_the_operator_alone_is_told() -> None:
    errors, _ = told(GOOD, staff(OPERATOR, HEAD, OVERSEER, operator=1))
    assert errors == [
        (
            f"{line_of(GOOD, 'decision:')}: row 3 waits for Kepala Contoh, but only the operator "
            "'citra' holds that position in the roster"
        )
    ]


def test_a_second_holder_of_the_operators_position_may_decide() -> None:
    second = official("eka", 4, "Kepala Contoh")
    assert told(GOOD, staff(OPERATOR, HEAD, OVERSEER, second, operator=1)) == ([], [])


def test_who_comes_later_is_a_warning_today() -> None:
    later = official("citra", 2, "Kepala Contoh", valid=Validity.model_validate({"from": "2027-01-01"}))
    errors, warnings = told(GOOD, staff(OPERATOR, later, OVERSEER))
    assert errors == []
    assert warnings == [
        (
            f"{line_of(GOOD, 'kepala: Kepala')}: actor 'kepala': nobody is Kepala Contoh today (2026-11-21); "
            "see the dates in officials.yml"
        )
    ]


def test_a_deputy_is_somebody() -> None:
    deputy = Deputy.model_validate(
        {"official": "dewi", "position": "Kepala Contoh", "kind": "Plh", "letter": "1"}
        | {"from": "2026-11-01", "until": "2026-11-30"}
    )
    assert told(GOOD, staff(OPERATOR, OVERSEER, deputies=(deputy,))) == ([], [])


# The SOPs of the repository ---------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted((ROOT / "sops").glob("*.yml")), ids=lambda file: file.stem)
def test_a_colleague_finds_no_error_in_the_sops_of_the_repository(file: Path) -> None:
    judged = judge(file.read_text(encoding="utf-8"), file.name, Workspace(ROOT).available())
    assert judged.errors == []
