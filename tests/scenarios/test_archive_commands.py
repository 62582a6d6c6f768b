"""Finding, exporting and deciding about what was sealed, as at the command line."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from unit.record_builder import make_closed_run, make_keys, make_office

from runner import archive, archive_key, bag_check, dispositions, errors, register, retention, verify
from runner.export import as_csv
from runner.register import NAME, Removed
from scenarios.conftest import Command

SCRIPT = Path(verify.__file__).with_name("auditor") / "verifikasi.sh"
JRA = {
    "classification": "000.6.3",
    "security": "terbatas",
    "active_years": 0,
    "inactive_years": 0,
    "final": "musnah",
    "basis": "Keputusan Contoh Nomor 1 Tahun 2020",
    "location": "",
}
# Where the commands look.
pytestmark = pytest.mark.usefixtures("tree")


@pytest.fixture(name="jra")
def _jra() -> dict[str, Any]:
    return dict(JRA)


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Return a folder with the keys of two officials, and a checkout with an archive of two runs."""
    base = tmp_path_factory.mktemp("made")
    keys = make_keys(base / "keys")
    office = make_office(base / "tree", keys)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bag_check, "_archiving", lambda _run: JRA)
        for _ in range(2):
            archive.seal(make_closed_run(office), base / "tree" / "archive")
    for left in (base / "tree" / "archive").glob("2026-*"):
        shutil.rmtree(left)  # what the engine's fake archive made
    shutil.rmtree(base / "tree" / "report_templates")
    shutil.copytree(root / "report_templates", base / "tree" / "report_templates")
    (base / "tree" / "archive.yml").write_text(
        "retention:\n  officials: ../keys/officials.yml\n  decides: Kepala Contoh\n"
        "  witness: Petugas Contoh\n"
    )
    return base


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, jra: dict[str, Any], made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the checkout, whose office has said how it archives."""
    # Stands for office.yml, which a run keeps from its start.
    monkeypatch.setattr(bag_check, "_archiving", lambda _run: jra)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RAWAT_ROOT", str(tmp_path / "tree"))
    return tmp_path / "tree"


def by_script(folder: Path) -> int:
    return subprocess.run(["sh", str(SCRIPT), str(folder)], check=False, capture_output=True).returncode


def deciding(
    tmp_path: Path, *more: str, fate: str = "musnah", reason: str = "Jangka simpan berakhir"
) -> list[str]:
    keys = tmp_path / "keys"
    return [
        "archive", "decide", *more, "--fate", fate, "--official", "kepala", "--witness", "petugas",
        "--reason", reason, "--key", str(keys / "kepala"), "--witness-key", str(keys / "petugas"),
    ]  # fmt: skip


# Finding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ((), 2),
        (("--from", "2026-11-21", "--to", "2026-11-21"), 2),
        (("--to", "2026-11-20"), 0),
        (("--from", "2026-11-22"), 0),
        (("--host", "web1"), 2),
        (("--host", "web"), 0),
        (("--cve", "cve-2099-0001"), 2),
        (("--cve", "CVE-2099-0002"), 0),
        (("--official", "nama KEPALA"), 2),
        (("--official", "000000000000000001"), 2),
        (("--official", "siapa"), 0),
        (("--document", "disposisi"), 2),
        (("--document", "laporan"), 0),
        (("--host", "web1", "--official", "siapa"), 0),
    ],
)
def test_archives_are_found_by_all_that_is_asked(rawat: Command, words: tuple[str, ...], count: int) -> None:
    assert f"{count} archives" in rawat("archive", "search", *words)


def test_the_list_is_for_people_and_for_programs(rawat: Command) -> None:
    assert "2026/000.6.3/2026-11-21-contoh-arsip-1: 2026-11-21 to 2026-11-21" in rawat("archive", "list")
    told = json.loads(rawat("archive", "list", "--json"))
    assert [found["said"]["hosts"] for found in told] == [["db1", "web1"], ["db1", "web1"]]


def test_a_damaged_archive_is_named_and_not_searched(rawat: Command, tree: Path) -> None:
    path = tree / "archive" / "2026" / "000.6.3" / "2026-11-21-contoh-arsip-1" / "metadata" / "arsip.json"
    path.write_bytes(path.read_bytes().replace(b"web1", b"web9"))
    told = rawat("archive", "search", "--host", "web9")
    assert "cannot be read as they were sealed, so not searched: 2026-11-21-contoh-arsip-1" in told
    assert "0 archives" in told


def test_a_day_that_is_none_and_an_archive_that_is_not_there_are_wrong_use(
    rawat: Command, tree: Path
) -> None:
    assert "'gestern' is no day" in rawat("archive", "search", "--from", "gestern", code=2)
    shutil.rmtree(tree / "archive")
    (tree / "archive").mkdir()
    assert "there is no archive" in rawat("archive", "list", code=2)


def test_a_classification_is_a_folder_and_the_whole_still_verifies(tree: Path) -> None:
    assert verify.verify(tree / "archive").run == "2"
    assert by_script(tree / "archive") == 0
    for found in (tree / "archive" / "2026" / "000.6.3").iterdir():
        assert verify.verify(found).registered
        assert by_script(found) == 0


# Retention -------------------------------------------------------------------------------------------------


def test_what_is_due_is_only_proposed(rawat: Command, tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    told = rawat("archive", "due", "--on", "2026-11-21")
    assert (
        "2026-11-21-contoh-arsip-1: since 2026-11-21 musnah or simpan can be decided (Keputusan Contoh"
        in told
    )
    assert before == sorted(tree.rglob("*"))


def test_without_a_schedule_nothing_is_ever_due(rawat: Command, jra: dict[str, Any], tree: Path) -> None:
    jra.update(active_years=None, inactive_years=None, final=None)
    shutil.rmtree(tree / "archive")
    shutil.rmtree(archive_key.key_beside(tree / "archive").parent)
    keys = tree.parent / "keys"
    office = make_office(tree.parent / "other", keys)
    archive.seal(make_closed_run(office), tree / "archive")
    assert "nothing is due" in rawat("archive", "due", "--on", "2999-01-01")


def test_without_a_terminal_or_a_code_nothing_is_decided(rawat: Command, tmp_path: Path, tree: Path) -> None:
    before = (tree / "archive" / NAME).read_bytes()
    told = rawat(*deciding(tmp_path), code=2)
    assert "To be decided: musnah" in told
    assert "nothing was signed" in told
    assert "is not the code" in rawat(*deciding(tmp_path), "--code", "0000-0000", code=2)
    assert before == (tree / "archive" / NAME).read_bytes()


def shown_code(rawat: Command, tmp_path: Path, *runs: str, fate: str = "musnah") -> str:
    told = rawat(*deciding(tmp_path, *runs, fate=fate), code=2)
    return told.split("code of this proposal: ")[1].split()[0]


def test_a_destruction_that_two_signed_leaves_what_it_was_and_a_berita_acara(
    rawat: Command, tmp_path: Path, tree: Path
) -> None:
    run = "2026-11-21-contoh-arsip-1"
    code = shown_code(rawat, tmp_path, run)
    told = rawat(*deciding(tmp_path, run), "--code", code)
    place = tree / "archive" / "2026" / "000.6.3" / run

    assert f"removed: the content of {run}, as was decided" in told
    assert f"runs/{run} still holds the same record" in told
    assert not (place / "data").exists()
    assert (place / "manifest-sha256.txt").exists()
    assert verify.verify(place).kind == "removed"
    assert verify.verify(tree / "archive").run == "2"
    assert (by_script(place), by_script(tree / "archive")) == (0, 0)
    minutes = tree / "archive" / "retention" / "3"
    assert (minutes / "berita-acara.pdf").read_bytes().startswith(b"%PDF")
    html = (minutes / "berita-acara.html").read_text()
    for words in (
        "Berita Acara Pemusnahan Arsip",
        "Nama kepala",
        "Nama petugas",
        "Jangka simpan berakhir",
        run,
    ):
        assert words in html
    # It is told of ever after, and never due again.
    assert "[musnah]" in rawat("archive", "list")
    assert run not in rawat("archive", "due")


def test_the_minutes_of_a_decision_can_be_read_in_english(rawat: Command, tmp_path: Path, tree: Path) -> None:
    run = "2026-11-21-contoh-arsip-1"
    reason = "Masih dipakai sebagai bukti"
    told = rawat(*deciding(tmp_path, run, fate="simpan", reason=reason), code=2)
    code = told.split("code of this proposal: ")[1].split()[0]
    rawat(*deciding(tmp_path, run, fate="simpan", reason=reason), "--code", code)
    folder, to = tree / "archive" / "retention" / "3", tmp_path / "copies"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    told = rawat("documents", str(folder), "--lang", "en", "--to", str(to))

    assert "the documents of the decision are the ones signed" in told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in to.iterdir()) == ["berita-acara.en.html", "berita-acara.en.pdf"]
    html = (to / "berita-acara.en.html").read_text()
    for words in (
        '<html lang="en">',
        "<h1>Minutes on the Reappraisal of Archives</h1>",
        "TRANSLATION for reading; the Indonesian document is the one signed",
        "<b>TRANSLATION</b> of berita-acara.pdf, SHA-256",
        hashlib.sha256(before["berita-acara.pdf"]).hexdigest()[:16],
        "reappraise the following archives and order that they stay kept",
        f'for this reason: <span lang="id">{reason}</span>.',
        "21 November 2026 to 21 November 2026",
    ):
        assert words in html
    assert html.count("(not to be signed)") == 2
    with pikepdf.open(to / "berita-acara.en.pdf") as pdf:
        assert str(pdf.Root["/Lang"]) == "en"
        attached = bytes(pdf.attachments["berita-acara.json"].get_file().read_bytes())
    assert attached == before["berita-acara.json"]

    for place in (folder / "copies", tree / "archive" / "copies"):
        assert "is inside of" in rawat("documents", str(folder), "--lang", "en", "--to", str(place), code=2)
    entry = str(tree / "archive" / "retention" / "1")
    Path(entry).mkdir()
    assert "is no decision about archives" in rawat(
        "documents", entry, "--lang", "en", "--to", str(tmp_path / "other"), code=5
    )
    (folder / "berita-acara.json").write_bytes(before["berita-acara.json"][:-2] + b" }\n")
    assert "retention/3/berita-acara.json" in rawat(
        "documents", str(folder), "--lang", "en", "--to", str(tmp_path / "other"), code=5
    )
    assert not (tmp_path / "other").exists()


def test_a_changed_paper_of_a_decision_is_found_by_both_judges(
    rawat: Command, tmp_path: Path, tree: Path
) -> None:
    run = "2026-11-21-contoh-arsip-1"
    rawat(*deciding(tmp_path, run, fate="simpan"), "--code", shown_code(rawat, tmp_path, run, fate="simpan"))
    folder = tree / "archive" / "retention" / "3"
    names = ["statement.json", "decides.sig", "witness.sig", "signers", "berita-acara.pdf"]
    for name in names:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-2] + b"x\n")
        with pytest.raises(errors.VerificationError, match=f"retention/3/{name}"):
            verify.verify(tree / "archive")
        assert by_script(tree / "archive") == 5
        (folder / name).write_bytes(whole)
    (folder / "more").write_bytes(b"")
    with pytest.raises(errors.VerificationError, match="retention/3/more: is named by nothing"):
        verify.verify(tree / "archive")
    assert by_script(tree / "archive") == 5


def test_a_destruction_that_nobody_decided_is_damage(tree: Path) -> None:
    place = tree / "archive" / "2026" / "000.6.3" / "2026-11-21-contoh-arsip-1"
    shutil.rmtree(place / "data")
    with pytest.raises(errors.VerificationError, match="is missing"):
        verify.verify(place)
    assert by_script(place) == 5


def test_content_put_back_after_its_destruction_is_found(rawat: Command, tmp_path: Path, tree: Path) -> None:
    run = "2026-11-21-contoh-arsip-1"
    place = tree / "archive" / "2026" / "000.6.3" / run
    shutil.copytree(place / "data", tmp_path / "kept")
    rawat(*deciding(tmp_path, run), "--code", shown_code(rawat, tmp_path, run))
    shutil.copytree(tmp_path / "kept", place / "data")
    with pytest.raises(
        errors.VerificationError, match="is still there, and the register says it was removed"
    ):
        verify.verify(place)
    assert by_script(place) == 5


def test_a_destruction_cut_off_by_a_crash_is_finished_before_the_next(
    rawat: Command, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = "2026-11-21-contoh-arsip-1", "2026-11-21-contoh-arsip-2"
    code = shown_code(rawat, tmp_path, first)
    with monkeypatch.context() as cut:
        cut.setattr(
            dispositions, "_remove", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error"))
        )
        rawat(*deciding(tmp_path, first), "--code", code, code=6)
    place = tree / "archive" / "2026" / "000.6.3" / first
    assert (place / "data").exists()
    told = rawat(*deciding(tmp_path, second), "--code", shown_code(rawat, tmp_path, second))
    assert f"removed: the content of {first}" in told
    assert f"removed: the content of {second}" in told
    assert verify.verify(tree / "archive").kind == "register"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--fate": "serah"}, "only musnah or simpan can be decided"),
        ({"--fate": "buang"}, "is not known"),
        ({"--official": "petugas"}, "does not hold the position Kepala Contoh"),
        ({"--witness": "kepala"}, "does not hold the position Petugas Contoh"),
        ({"--official": "siapa"}, "not in the roster"),
        ({"--reason": " "}, "needs a reason"),
    ],
)
def test_who_or_what_may_not_be_decided_is_refused(
    rawat: Command, tmp_path: Path, change: dict[str, str], told: str
) -> None:
    words = deciding(tmp_path, "2026-11-21-contoh-arsip-1")
    for option, value in change.items():
        words[words.index(option) + 1] = value
    assert told in rawat(*words, code=2)


def test_a_key_that_is_not_the_officials_records_nothing(rawat: Command, tmp_path: Path, tree: Path) -> None:
    words = deciding(tmp_path)
    code = shown_code(rawat, tmp_path)
    words[words.index("--witness-key") + 1] = str(tmp_path / "keys" / "kepala")
    before = (tree / "archive" / NAME).read_bytes()
    assert "is not the key of Nama petugas" in rawat(*words, "--code", code, code=2)
    assert before == (tree / "archive" / NAME).read_bytes()


def test_nobody_decides_where_the_office_named_nobody(rawat: Command, tmp_path: Path, tree: Path) -> None:
    (tree / "archive.yml").unlink()
    assert "nobody may decide about archives here" in rawat(*deciding(tmp_path), code=2)


def test_years_are_counted_from_the_end_of_the_run() -> None:
    said = {
        "period": {"to": "2024-02-29"},
        "archiving": {
            "retention": {"active_years": 1, "inactive_years": 2, "final": "permanen", "basis": "X"}
        },
    }

    def fates(day: str, state: Any = None) -> Any:  # noqa: ANN401 - a fate or none
        found = retention.due("run", "0" * 64, said, state, date.fromisoformat(day))
        return found and (str(found.since), found.fates)

    assert fates("2025-02-27") is None
    assert fates("2025-02-28") == ("2025-02-28", ("inaktif",))
    assert fates("2025-03-01", "inaktif") is None
    assert fates("2027-02-28", "inaktif") == ("2027-02-28", ("serah", "simpan"))
    assert fates("2099-01-01", "serah") is None


def test_a_removal_that_was_not_decided_is_not_recorded(tree: Path) -> None:
    root = tree / "archive"
    with (
        register.held(root, archive_key.key_beside(root)) as held,
        pytest.raises(errors.VerificationError, match="removes what nobody decided to remove"),
    ):
        held.append(Removed, run="2026-11-21-contoh-arsip-1", decision=1, at="2026-11-22T00:00:00.000000Z")


# SRIKANDI --------------------------------------------------------------------------------------------------


def test_the_export_holds_the_documents_and_lists_that_fit(rawat: Command, tmp_path: Path) -> None:
    told = rawat("archive", "export", "2026-11-21-contoh-arsip-1", "-o", str(tmp_path / "out"))
    assert "exported: 1 archives" in told
    out = tmp_path / "out"
    (berkas,) = csv.DictReader((out / "daftar-berkas.csv").read_text("utf-8-sig").splitlines())
    items = list(csv.DictReader((out / "daftar-isi-berkas.csv").read_text("utf-8-sig").splitlines()))

    assert (berkas["Kode Klasifikasi"], berkas["Nasib Akhir"], berkas["Status Berkas"]) == (
        "000.6.3",
        "musnah",
        "Aktif",
    )
    assert berkas["Kurun Waktu"] == "2026-11-21 s.d. 2026-11-21"
    assert [item["Jenis Naskah"] for item in items] == ["disposisi"] * len(items)
    assert all((out / item["Nama File"]).is_file() for item in items)
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "sha256.txt"], cwd=out, check=False)
    assert done.returncode == 0
    assert "is there already" in rawat("archive", "export", "-o", str(out), code=2)
    assert "there is no archive of x" in rawat("archive", "export", "x", "-o", str(tmp_path / "b"), code=2)


def test_a_damaged_archive_is_not_exported(rawat: Command, tmp_path: Path, tree: Path) -> None:
    path = next((tree / "archive").rglob("data/documents/*"))
    path.write_bytes(b"other")
    rawat("archive", "export", "-o", str(tmp_path / "out"), code=5)
    assert not (tmp_path / "out").exists()


def test_a_cell_never_begins_as_a_formula_does() -> None:
    rows = [{"a": '=HYPERLINK("x")', "b": "-1+1"}]
    assert b"'=HYPERLINK" in as_csv(rows)
    assert b"'-1+1" in as_csv(rows)
