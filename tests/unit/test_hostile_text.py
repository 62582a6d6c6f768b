"""Whatever a host says is text: on the screen, in HTML, in the PDF. Rows 35 and 36 of the fault table.

Every payload goes into every field that a host fills, and the outcome is compared with that of a harmless
word in the same places: nothing but text may differ.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hostile
import pytest
from rich.console import Console
from sample_run import SampleRun, whole_run

from runner import errors, evidence, pdf, report, screens
from runner.display import display
from runner.executors.base import Failure, HostResult, ProgressEvent
from runner.language import is_original, reading
from runner.moves import Part
from runner.report import Original
from runner.translations import language_of
from runner.view import DocumentView

ALL = hostile.payloads()
QUICK = ALL[::60]
HARMLESS = "harmless"
ORIGINAL = Original("dokumen.pdf", "0" * 64, "1" * 64)
# What the templates among the payloads come to; 7 * 7 stands in many a digest by itself.
PRODUCT = "1236227"
# What a host's evidence fills of a document's view; the rest is the SOP's, the officials' and our own.
OF_HOSTS = (
    "plan",
    "unplanned_because",
    "backup",
    "skipped_because",
    "apply",
    "changes",
    "already",
    "refused",
)
MORE_OF_HOSTS = (
    "antivirus",
    "reboot",
    "tests",
    "rollback",
    "retest",
    "failures",
    "kept",
    "scan",
    "rungs",
    "files",
)
# Words with a fixed list of values: evidence with another one is refused before it gets here.
FIXED = frozenset({"kind", "outcome", "status", "state", "step", "attempt", "choice", "rung"})


@pytest.fixture(scope="module", name="sample")
def _sample(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return whole_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module", name="views")
def _views(sample: SampleRun) -> dict[str, DocumentView]:
    """Return the newest version of each document."""
    return {
        document: report.document_view(sample.record(), document, version, *mark)
        for (document, version), mark in sample.marks.items()
    }


def filled(value: Any, text: str, field: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Return a copy with the text in every place where a host's text stands."""
    if isinstance(value, dict):
        return {key: filled(item, text, key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, text, field) for item in value]
    return text if isinstance(value, str) and value and field not in FIXED else value


def with_text(view: DocumentView, said: str) -> DocumentView:
    # What a host says comes by way of its evidence, which holds no half characters.
    text = evidence.capped(said)
    data = view.model_dump(mode="json", by_alias=True)
    for host in data["hosts"]:
        host |= {name: filled(host[name], text, name) for name in (*OF_HOSTS, *MORE_OF_HOSTS)}
        host["host"] = text
    data["cves"] = [filled(cve, text) for cve in data["cves"]]
    return DocumentView.model_validate(data)


class Shape(HTMLParser):
    """The elements of a document with the names of their attributes, and everything that is no text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[object] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.found.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.found.append(("instruction", data))

    def unknown_decl(self, data: str) -> None:
        self.found.append(("declaration", data))


def unsafe(text: str) -> list[str]:
    """Return the characters in a text that steer or cannot be seen."""
    return [c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def page(view: DocumentView, said: str) -> str:
    """Return a document of hosts that say something, in the language of now."""
    return report.render_html(with_text(view, said), None if is_original() else ORIGINAL)


@pytest.fixture(scope="module", name="harmless")
def _harmless(views: dict[str, DocumentView]) -> dict[str, str]:
    """Return each document of hosts that only say a harmless word."""
    return {name: page(view, HARMLESS) for name, view in views.items()}


@pytest.fixture(scope="module", name="english")
def _english(views: dict[str, DocumentView]) -> dict[str, str]:
    """Return the same documents as they are read in English."""
    with reading(language_of("en")):
        return {name: page(view, HARMLESS) for name, view in views.items()}


def differences(
    views: dict[str, DocumentView], harmless_documents: dict[str, str], payload: str
) -> list[str]:
    """Return the documents in which a payload is more than text."""
    return [
        f"{name}: {found}"
        for name, view in views.items()
        for found in more_than_text(page(view, payload), harmless_documents[name])
    ]


def more_than_text(html: str, harmless: str) -> list[str]:
    """Return in which ways a page is more than that of a harmless word with other words in it."""
    wrong = []
    if Shape(html).found != Shape(harmless).found or html.count("<") != harmless.count("<"):
        wrong.append("other elements")
    # The excerpt of a log keeps its tabs; in HTML they are spaces.
    if found := unsafe(unescape(html).replace("\t", " ")):
        wrong.append(f"{found!a}")
    if PRODUCT in html:
        wrong.append("a template was carried out")
    return wrong


def test_the_corpus_is_large_enough() -> None:
    assert len(set(ALL)) >= 500


def test_the_harmless_word_reaches_every_document(harmless: dict[str, str]) -> None:
    counts = {name: html.count(HARMLESS) for name, html in harmless.items()}

    assert all(counts.values()), counts
    assert sum(counts.values()) > 100


@pytest.mark.parametrize("payload", QUICK)
def test_text_of_a_host_is_text_in_every_document(
    views: dict[str, DocumentView], harmless: dict[str, str], payload: str
) -> None:
    assert differences(views, harmless, payload) == []


@pytest.mark.parametrize("payload", ALL[::180])
def test_text_of_a_host_is_text_in_every_document_in_english(
    views: dict[str, DocumentView], english: dict[str, str], payload: str
) -> None:
    assert any('<html lang="en">' in html for html in english.values())
    with reading(language_of("en")):
        assert differences(views, english, payload) == []


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_no_payload_of_the_whole_corpus_is_more_than_text_in_english(
    views: dict[str, DocumentView], english: dict[str, str]
) -> None:
    with reading(language_of("en")):
        assert {payload: wrong for payload in ALL if (wrong := differences(views, english, payload))} == {}


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_no_payload_of_the_whole_corpus_is_more_than_text(
    views: dict[str, DocumentView], harmless: dict[str, str]
) -> None:
    assert {payload: wrong for payload in ALL if (wrong := differences(views, harmless, payload))} == {}


# The screen -------------------------------------------------------------------------------------------


def everything_shown(sample: SampleRun, text: str) -> str:
    """Return what the terminal shows when a host says ``text`` wherever it can."""
    stream = io.StringIO()
    console = Console(file=stream, width=200, highlight=False, color_system=None)
    record = sample.record()
    step = record.sop.step(7)
    plan = filled(record.plan, text)
    plan["hosts"] = {f"{text}{number}": entry for number, entry in enumerate(plan["hosts"].values())}
    plan["not_planned"] = {text: text}
    for part in screens.plan_view(plan):
        console.print(part)
    screen = screens.Screen(console, record.sop)
    results = [
        HostResult(text, "failed", {}, Failure(text, text)),
        HostResult(
            "web1",
            "ok",
            {"back_up_host": {"snapshot": text, "restore_test": {"files": text, "matched": text}}},
        ),
        HostResult("web1", "ok", {"verification": {"passed": text, "failed": text}}),
    ]
    part = Part("1", "playbook", (text,))
    screen.part_started(step, part)
    screen.progress(ProgressEvent("task", text))
    screen.progress(ProgressEvent("host", text, host=text, status=text, done=1, total=2))
    screen.part_finished(step, part, results)
    screen.part_skipped(step, part, text)
    screens.print_error(console, errors.InputError(text, hint=text))
    return stream.getvalue()


def screen_differences(sample: SampleRun, payload: str) -> list[str]:
    shown = everything_shown(sample, payload)
    wrong = [f"{unsafe(shown)!a}"] if unsafe(shown) else []
    if PRODUCT in shown:
        wrong.append("a template was carried out")
    # What rich took for its own markup would be gone from the text.
    if payload.isprintable() and display(payload)[:12] not in shown:
        wrong.append("taken for markup")
    return wrong


@pytest.mark.parametrize("payload", QUICK)
def test_text_of_a_host_is_text_on_the_screen(sample: SampleRun, payload: str) -> None:
    assert screen_differences(sample, payload) == []


@pytest.mark.campaign
def test_no_payload_of_the_whole_corpus_steers_the_screen(sample: SampleRun) -> None:
    assert {payload: wrong for payload in ALL if (wrong := screen_differences(sample, payload))} == {}


# The PDF ------------------------------------------------------------------------------------------------


@pytest.fixture(name="canary")
def _canary() -> Iterator[tuple[int, list[str]]]:
    with hostile.canary() as told:
        yield told


def rendered(html: str) -> bytes:
    limits = pdf.Limits(wall_seconds=900, cpu_seconds=600)
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return pdf.render_pdf(html, "title", at, ("x.json", b"{}"), limits=limits)


def test_the_pdf_worker_fetches_nothing_for_a_host(
    views: dict[str, DocumentView], canary: tuple[int, list[str]]
) -> None:
    port, asked = canary
    fetching = [text for text in hostile.payloads(port) if "canary" in text or "file:" in text]
    data = views["laporan-hasil-pengecekan"].model_dump(mode="json", by_alias=True)
    update = data["hosts"][0]["plan"]["updates"][0]
    data["hosts"] = data["hosts"][:1]
    data["hosts"][0]["plan"]["updates"] = [update | {"package": text} for text in fetching[:40]]

    made = rendered(report.render_html(DocumentView.model_validate(data)))

    assert made.startswith(b"%PDF")
    assert b"/etc/passwd" not in made
    assert asked == []


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_pdf_with_the_whole_corpus_fetches_nothing(
    views: dict[str, DocumentView], canary: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, asked = canary
    view = views["laporan-hasil-pengecekan"]
    data = view.model_dump(mode="json", by_alias=True)
    update = data["hosts"][0]["plan"]["updates"][0]
    data["hosts"][0]["plan"]["updates"] = [
        update | {"package": evidence.capped(text)} for text in hostile.payloads(port)
    ]

    (tmp_path / "corpus.pdf").write_bytes(rendered(report.render_html(DocumentView.model_validate(data))))

    assert asked == []
