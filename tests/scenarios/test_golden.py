"""Every document, as fixed sample runs give it, held against the copy of it in ``tests/golden``.

A copy is the document's HTML without what is no word of it: the shared stylesheet, whose one copy is
``report_templates/print.css`` itself; digests and the drawing of the QR code, which other tests hold. When a
document was changed on purpose: ``make golden``, then read ``git diff tests/golden``.
"""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from accessible import problems
from fakes import START
from unit.sample_run import SampleRun, backed_up, checked, whole_run

from runner import pdf, record, report
from runner.engine import Closed
from runner.executors.base import Failure, HostResult
from runner.judges.base import at_most
from runner.minutes import minutes
from runner.office_settings import OfficeLook, OfficeSettings
from runner.officials import Roster
from runner.run_view import document_view
from runner.workspace import RunFolder, find_workspace
from scenarios.conftest import MakeOffice, palembang_roster
from scenarios.office import HOSTS, Office, events_of
from scenarios.palembang import SICK, filled_in
from scenarios.test_cures import UNIT, looked

GOLDEN = Path(__file__).parents[1] / "golden"
STYLE = "print.css"
_RENEW = "if that is meant: make golden, then read git diff tests/golden"

LOOK = OfficeLook(
    settings=OfficeSettings.model_validate(
        {
            "letterhead": {
                "lines": ["Pemerintah Kota Contoh", "Dinas Contoh"],
                "address": ["Jalan Contoh Nomor 0, Kota Contoh 00000"],
            },
            "number": {"pattern": "{klasifikasi}/{nomor}.{dokumen}/{unit}/{tahun}", "unit": "DINAS-CONTOH"},
            "place": "Kota Contoh",
            "archive": {"classification": "000.0.0"},
        }
    )
)
Documents = dict[str, str]
"""Name of the golden file -> HTML."""


@dataclass
class Place:
    """Where the sample runs are made, and what offices are made of."""

    folder: Path
    root: Path
    make_office: MakeOffice
    roster: Roster

    def new(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder, prefix=name))

    def office(self, sop: str, roster: Roster) -> Office:
        """Return an office with a SOP, in which every action takes a while."""
        office = self.make_office(
            self.new(sop) / "office", self.root / "sops" / f"{sop}.yml", officials=roster
        )
        office.playbooks.before = lambda _request: office.clock.advance(95)
        return office


def pages(folder: RunFolder, prefix: str) -> Documents:
    """Return every version of a run's documents as its real templates print it; of attempts the newest."""
    now = record.load(folder)
    told: Documents = {}
    for one in events_of(folder, "document_written"):
        step, attempt, at = one["step"], one["attempt"], one["as_of"]
        name = f"{prefix}-{step:02d}-{one['document']}-{one['version']}"
        view = document_view(now.at(at), one["document"], one["version"], step, attempt, at)
        told[name] = report.render_html(view)
    return told


def closed(office: Office, *args: Any) -> RunFolder:  # noqa: ANN401 - what Office.go_on takes
    folder = office.start()
    assert isinstance(office.go_on(folder, *args), Closed)
    return folder


def surakarta(place: Place) -> Documents:
    return pages(whole_run(place.new("surakarta"), look=LOOK).folder, "surakarta")


def stopped(place: Place) -> Documents:
    """Return the report of a run that its operator stopped after the backup."""
    made = SampleRun(place.new("stopped"), look=LOOK)
    made.start()
    made.order()
    made.back_up()
    operator = made.roster.officials[0].person("Pengelola Sistem dan Jaringan")
    made.write("run_stopped", step=7, attempt=0, person=operator, reason="Listrik kantor akan dipadamkan.")
    at = made.journal.events[-1].seq
    view = document_view(made.record(), "laporan-penghentian", "final", 5, 1, at)
    return {"surakarta-laporan-penghentian-final": report.render_html(view)}


WELL = checked(at_most("memory", "", 40, "%", 90, 97))


def _ok(role: str, said: Callable[[str], dict[str, Any]]) -> dict[str, HostResult]:
    return {host: HostResult(host, "ok", {role: said(host)}) for host in HOSTS}


def _disturbed(place: Place) -> Office:
    """Return an office whose web1 is disturbed and stays so, and whose db1 cannot be backed up."""
    office = place.office("palembang-information-system-maintenance", palembang_roster(place.roster))
    found = _ok("check_host", lambda _: WELL)
    office.playbooks.answer(2, "1", {**found, "web1": SICK})
    for row in (4, 8):
        office.playbooks.answer(row, "1", {"web1": SICK})
    office.playbooks.answer(4, "propose", {"web1": looked("web1", UNIT)})
    failed = Failure(
        "Back up", "the disk of the repository is full (restic backup ended with 1): Fatal: disk full"
    )
    backups = _ok("back_up_host", backed_up)
    office.playbooks.answer(9, "1", {**backups, "db1": HostResult("db1", "failed", {}, failed)})
    return office


def palembang(place: Place) -> Documents:
    """Return the documents of a disturbance for which a budget is approved."""
    decisions = {
        1: ["ditugaskan"],
        5: ["diajukan"],
        6: ["disetujui"],
        7: ["ditugaskan"],
        11: ["diterima"],
    }
    paper = place.new("paper") / "bukti.pdf"
    paper.write_bytes(b"%PDF-1.7 a made-up receipt")
    folder = closed(_disturbed(place), decisions, filled_in(1, 4, 5, 7, 8, paper=paper))
    return pages(folder, "palembang")


def refused(place: Place) -> Documents:
    """Return what reads otherwise when the budget is refused."""
    decisions = {1: ["ditugaskan"], 5: ["diajukan"], 6: ["ditolak"], 11: ["diterima"]}
    told = pages(closed(_disturbed(place), decisions, filled_in(1, 4, 5)), "palembang-refused")
    return {name: html for name, html in told.items() if "-06-" in name or "-11-" in name}


def examples(place: Place) -> Documents:
    """Return the minutes of the two SOPs that are examples: a restore drill, and retention of backups."""
    drill = place.office("contoh-uji-pulih-cadangan", place.roster)
    drill.playbooks.answer(3, "1", _ok("check_host", lambda _: WELL))
    drill.playbooks.answer(4, "1", _ok("back_up_host", backed_up))
    told = pages(closed(drill, {2: ["diperintahkan"], 5: ["lulus"], 7: ["disahkan"]}), "contoh")
    retention = place.office("contoh-retensi-cadangan", place.roster)
    old = [{"id": "a" * 64, "time": "2024-01-01T01:00:00+08:00", "tags": ["run-lama"]}]
    keep = [
        {"id": "c" * 64, "time": "2026-11-20T01:00:00+08:00", "tags": [], "reason": "it is the newest one"}
    ]
    proposal = {"snapshots": 2, "keep": keep, "removals": old, "proven": ""}
    for row, part in ((3, "1"), (5, "1-reprobe-1")):
        retention.playbooks.answer(row, part, _ok("propose_retention", lambda _: proposal))
    done = {"approved": 1, "pending": 1, "removed": ["a" * 64], "refused": [], "check": "ok"}
    retention.playbooks.answer(5, "1", _ok("prune_backups", lambda _: done))
    return told | pages(closed(retention, {4: ["disetujui"], 7: ["disahkan"]}), "contoh")


def destroyed(fate: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the statement of a decision about archives, and the files of its Berita Acara."""
    persons = [
        {"name": "Nama Kepala", "nip": "0" * 18, "position": "Kepala Dinas"},
        {"name": "Nama Arsiparis", "nip": "0" * 18, "position": "Arsiparis"},
    ]
    run = "2020-11-21-surakarta-system-update-1"
    said = {
        "fate": fate,
        "decided": "2026-11-21T03:00:00.000000Z",
        "reason": "Masa simpan telah habis.",
        "persons": persons,
        "runs": [{"run": run, "tagmanifest_sha256": "0" * 64}],
    }
    archiving = {
        "classification": "000.0.0",
        "retention": {
            "active_years": 1,
            "inactive_years": 2,
            "final": "musnah",
            "basis": "Peraturan contoh tentang JRA",
        },
    }
    sealed = {
        "run": run,
        "archiving": archiving,
        "sop": {"name": "Pemutakhiran Sistem Operasi/Software"},
        "period": {"from": "2020-11-21", "to": "2020-11-22"},
        "documents": [{}, {}],
    }
    return said, minutes(said, [sealed], "Dinas Contoh", "Asia/Jakarta", LOOK)


def archive(_place: Place) -> Documents:
    """Return the Berita Acara of archives that were destroyed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.pdf.render_pdf", lambda *_: b"")  # only its words are looked at here
        _, made = destroyed("musnah")
    return {"arsip-berita-acara-pemusnahan": made["berita-acara.html"].decode()}


ALL = (surakarta, stopped, palembang, refused, examples, archive)


@pytest.fixture(scope="module", name="documents")
def _documents(quick_dir: Path, root: Path, make_office: MakeOffice, roster: Roster) -> dict[str, Documents]:
    """Return what each of ALL made."""
    place = Place(Path(tempfile.mkdtemp(dir=quick_dir)), root, make_office, roster)
    return {story.__name__: story(place) for story in ALL}


def shared_style() -> str:
    """Return the stylesheet that all documents begin theirs with."""
    return (find_workspace().root / report.TEMPLATES / STYLE).read_text(encoding="utf-8").rstrip("\n")


def golden(html: str) -> str:
    """Return what of a document stands in its golden file."""
    text = html.replace(shared_style(), f"/* {STYLE} */")
    text = re.sub(r"(<title>Kode QR: [^<]*</title>).*?</svg>", r"\1(kode QR)</svg>", text)
    # The flowcharts stand, whole, in the golden copies of the SOPs' own documents (tests/data/sop-documents).
    text = re.sub(r'(<svg class="lanes"[^>]*>).*?</svg>', r"\1(bagan)</svg>", text, flags=re.DOTALL)
    text = re.sub(r"\b[0-9a-f]{64}\b", "(sidik 64)", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "(sidik 16)", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def difference(name: str, html: str) -> str:
    """Return in which lines a document differs from its golden file, or "" when it does not."""
    path = GOLDEN / f"{name}.html"
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = difflib.unified_diff(before, golden(html).splitlines(), f"golden/{name}", "now", n=1, lineterm="")
    return "\n".join(lines)


@pytest.fixture(name="renewing")
def _renewing(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--renew-golden"))


@pytest.mark.parametrize("story", [story.__name__ for story in ALL])
def test_documents_read_as_their_golden_copies(
    story: str, documents: dict[str, Documents], *, renewing: bool
) -> None:
    made = documents[story]
    if renewing:
        for name, html in made.items():
            (GOLDEN / f"{name}.html").write_text(golden(html), encoding="utf-8")
    found = [difference(name, html) for name, html in made.items()]
    changed = "\n\n".join(filter(None, found))
    if changed:
        pytest.fail(f"documents are not as their golden copies; {_RENEW}\n{changed}", pytrace=False)


def test_every_document_has_a_golden_copy_and_no_copy_is_left_over(documents: dict[str, Documents]) -> None:
    made = {name for told in documents.values() for name in told}

    assert made == {path.stem for path in GOLDEN.glob("*.html")}
    assert [one for one in report.known_documents() if not any(one in name for name in made)] == []


def test_a_changed_word_shows_in_the_difference(documents: dict[str, Documents]) -> None:
    name = next(name for name in documents["surakarta"] if "disposisi" in name)
    said = documents["surakarta"][name].replace("Diteruskan kepada Sdr.", "Diteruskan kepada")

    told = difference(name, said).splitlines()

    assert [line for line in told if "Diteruskan kepada</p>" in line and line.startswith("+")]
    assert [line for line in told if "Diteruskan kepada Sdr.</p>" in line and line.startswith("-")]


READ = (palembang, examples, archive)
"""Of these every form is read as PDF; those of the Surakarta SOP are in tests/unit/test_accessible.py."""


@pytest.mark.parametrize("story", [story.__name__ for story in READ])
def test_a_screen_reader_finds_its_way(story: str, documents: dict[str, Documents], tmp_path: Path) -> None:
    newest = {form_of(name): html for name, html in documents[story].items()}
    found = {}
    for form, html in newest.items():
        path = tmp_path / f"{form}.pdf"
        path.write_bytes(pdf.render_pdf(html, form, START, ("data.json", b"{}")))
        found[form] = problems(path)
    assert {form: told for form, told in found.items() if told} == {}


def form_of(name: str) -> str:
    """Return which form a golden copy is of, whichever row and version."""
    return re.sub(r"^[a-z]+-(\d\d-)?|-(draft|verified|ratified|final)$", "", name)
