"""``rawat sop new``: the paper's rows are asked at a terminal, and what comes out is a SOP file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from runner import source
from runner.sop_check import judge
from runner.sop_draft import name_of, text_of, with_open_points
from runner.workspace import Workspace

ROOT = Path(__file__).parents[2]
COMMAND = ["-m", "runner", "sop", "new"]

# What is asked, and what is answered; an empty answer is Enter alone.
HEAD = [
    ("Unit", "Dinas Contoh"),
    ("Kantor", ""),
    ("Nama SOP", "Pemeriksaan: Bulanan"),
    ("Nomor SOP", "12"),
    ("Position", "Petugas Contoh"),
    ("Position", "Kepala Contoh"),
    ("Position", ""),
]
CHECKING = [
    ("Kegiatan", "Memeriksa seluruh komputer"),
    ("Pelaksana", "1"),
    ("Waktu", "sejam"),
    ("Waktu", "1 Jam"),
    ("Kelengkapan", "Daftar komputer"),
    ("Kelengkapan", ""),
    ("Output", "Laporan"),
    ("Output", ""),
    ("Which document is 'Laporan'", "laporan-hasil-pengecekan"),
    ("Its version", "draft"),
    ("What does Rawat do", "2"),
    ("Which playbook", "plan-updates.yml"),
    ("It (", "2"),
    ("Where does the row lead", "1"),
    ("Leads to row", ""),
]
APPROVING = [
    ("Kegiatan", "Menyetujui laporan"),
    ("Pelaksana", "9"),
    ("Pelaksana", "kepala-contoh"),
    ("Waktu", "15 Menit"),
    ("Kelengkapan", "Laporan"),
    ("Kelengkapan", ""),
    ("Output", ""),
    ("What does Rawat do", "1"),
    ("Where does the row lead", "2"),
    ("What is shown", "2"),
    ("Name of an exit", "disetujui"),
    ("leads to row", ""),
    ("Name of an exit", "diperiksa lagi"),
    ("leads to row", "satu"),
    ("leads to row", "1"),
    ("Name of an exit", ""),
]
ENDING = [("Kegiatan", "Selesai"), ("Pelaksana", ""), ("Leads to row", "end"), ("Kegiatan", "")]


def answered(file: Path, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Answer the questions at a terminal; return exit status and what was said after the last one."""
    arguments = [*COMMAND, str(file)]
    child = pexpect.spawn(
        sys.executable, arguments, cwd=str(ROOT), env={**os.environ, "COLUMNS": "200"}, timeout=60
    )
    for question, answer in answers:
        child.expect_exact(question)
        child.expect_exact(": ")
        child.sendline(answer) if answer != "^D" else child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before.decode()


def test_answers_become_a_sop_that_the_check_accepts(tmp_path: Path) -> None:
    file = tmp_path / "dinas-contoh-pemeriksaan.yml"
    status, told = answered(file, [*HEAD, *CHECKING, *APPROVING, *ENDING])
    assert status == 0
    assert "good, 3 rows" in told
    text = file.read_text(encoding="utf-8")
    judged = judge(text, file.name, Workspace(ROOT).available())
    assert (judged.errors, judged.warnings) == ([], [])
    assert judged.sop is not None
    assert judged.sop.id == "dinas-contoh-pemeriksaan"
    assert judged.sop.identity.nama_sop == "Pemeriksaan: Bulanan"
    assert judged.sop.identity.nomor_sop == "12"
    assert [step.targets for step in judged.sop.steps] == [[2], [3, 1], ["end"]]
    assert "TODO" not in text


PROPOSING = [
    ("Kegiatan", "Mengajukan usulan"),
    ("Pelaksana", "2"),
    ("Waktu", "15 Menit"),
    ("Kelengkapan", ""),
    ("Output", ""),
    ("What does Rawat do", "6"),
    ("Title of the form", "Usulan Anggaran"),
    ("Label of a field", "Dasar usulan"),
    ("What is 'Dasar usulan'", "1"),
    ("Must it be filled in", "1"),
    ("Label of a field", "Rincian"),
    ("What is 'Rincian'", "8"),
    ("First column", "Uraian"),
    ("What is 'Uraian'", "text"),
    ("Next column", "Banyaknya"),
    ("What is 'Banyaknya'", "2"),
    ("Next column", "Harga satuan"),
    ("What is 'Harga satuan'", "3"),
    ("Next column", ""),
    ("Multiply banyaknya and harga-satuan", "1"),
    ("Must it be filled in", "1"),
    ("Label of a field", "Sifat"),
    ("What is 'Sifat'", "6"),
    ("Choice", ""),
    ("Choice", "Biasa"),
    ("Choice", "Segera"),
    ("Choice", ""),
    ("Must it be filled in", "2"),
    ("Label of a field", "Lampiran"),
    ("What is 'Lampiran'", "9"),
    ("Must it be filled in", "2"),
    ("Label of a field", ""),
    ("Which playbook looks", ""),
    ("Where does the row lead", "2"),
    ("What is shown", "4"),
    ("Name of an exit", "diajukan"),
    ("leads to row", ""),
    ("Name of an exit", ""),
]
AGAIN = [
    *PROPOSING[:6],
    ("Which form", "1"),
    ("Which playbook looks", "check-hosts.yml"),
    ("Where does the row lead", "1"),
    ("Leads to row", ""),
]


def test_forms_are_asked_for_field_by_field_and_used_again(tmp_path: Path) -> None:
    file = tmp_path / "dinas-contoh-usulan.yml"
    status, told = answered(file, [*HEAD, *CHECKING, *PROPOSING, *AGAIN, *ENDING])
    assert (status, "good, 4 rows" in told) == (0, True), told
    judged = judge(file.read_text(encoding="utf-8"), file.name, Workspace(ROOT).available())
    assert (judged.errors, judged.sop is not None) == ([], True)
    assert judged.sop is not None
    (form,) = judged.sop.forms.values()
    assert list(judged.sop.forms) == ["usulan-anggaran"]
    assert {name: field.type for name, field in form.fields.items()} == {
        "dasar-usulan": "text",
        "rincian": "table",
        "sifat": "choice",
        "lampiran": "attachments",
    }
    assert form.fields["rincian"].total == ["banyaknya", "harga-satuan"]
    assert [name for name, field in form.fields.items() if field.required] == ["dasar-usulan", "rincian"]
    actions = [step.action for step in judged.sop.steps if step.action and step.action.form]
    assert [(a.form, a.proof) for a in actions] == [
        ("usulan-anggaran", None),
        ("usulan-anggaran", "check-hosts.yml"),
    ]


def test_what_is_open_stands_at_the_top_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "dinas-contoh-pemeriksaan.yml"
    broken_off = [("Waktu", ""), ("Kelengkapan", "^D")]
    status, told = answered(file, [*HEAD, *CHECKING, *APPROVING[:3], *broken_off])
    assert status == 0
    text = file.read_text(encoding="utf-8")
    assert "row 2: has no standard time" in told
    todo = [line for line in text.splitlines() if line.startswith("# TODO")]
    judged = judge(text, file.name, Workspace(ROOT).available())
    assert todo == [f"# TODO line {problem.line}: {problem.message}" for problem in judged.errors]
    assert len(todo) == 3


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "ada.yml"
    file.write_text("milik orang lain\n", encoding="utf-8")
    status, told = answered(file, [])
    assert status == 2
    assert "exists already" in told
    assert file.read_text(encoding="utf-8") == "milik orang lain\n"


def test_questions_that_end_before_the_first_row_write_nothing(tmp_path: Path) -> None:
    file = tmp_path / "kosong.yml"
    status, told = answered(file, [*HEAD[:2], ("Nama SOP", "^D")])
    assert (status, file.exists()) == (2, False)
    assert "nothing was written" in told


def test_without_a_terminal_the_guide_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *COMMAND, str(tmp_path / "x.yml")],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 2
    assert "docs/writing-a-sop.md" in done.stderr


# The file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "taken", "name"),
    [
        ("Kepala Seksi TI", (), "kepala-seksi-ti"),
        ("Kepala Seksi TI", ("kepala-seksi-ti",), "kepala-seksi-ti-2"),
        ("3 Serangkai", (), "x-3-serangkai"),
        ("局長", (), "x"),
        ("a" * 300, (), "a" * 50),
    ],
)
def test_words_become_a_name(words: str, taken: tuple[str, ...], name: str) -> None:
    assert name_of(words, taken) == name


@pytest.mark.parametrize(
    "words",
    [
        "yes",
        "true",
        "12",
        "null",
        "~",
        "- x",
        "a: b",
        "#x",
        "",
        " x ",
        "2026-01-01",
        "x" * 300,
        "&a",
        "'",
        '"',
        "é",
    ],
)
def test_every_text_is_read_back_as_it_was_typed(words: str) -> None:
    data = {"steps": [{"no": 1, "kegiatan": words, "waktu": None, "next": "end"}]}
    assert source.read(text_of(data), "x").data == data


def test_a_sop_with_nothing_open_has_no_note() -> None:
    text = (ROOT / "tests" / "data" / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    assert with_open_points(text, judge(text, "x")) == text
