"""Hostile text of hosts in a real browser: nothing runs, nothing is fetched, the page stays the page.

Chromium opens a document for each payload, which stands in every field of a host in it, with the page's own
security policy taken out: what is tried is the escaping alone. Its elements are those of a harmless document.
"""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile
import pytest
from sample_run import SampleRun, whole_run
from test_hostile_papers import LANGUAGES, Paper, papers_of, twin
from test_hostile_text import HARMLESS, with_text

from runner import letters, report
from runner.language import reading
from runner.view import DocumentView

POLICY = 'http-equiv="Content-Security-Policy"'
DRIVER = """<!doctype html><meta charset=utf-8><body><script>
const told = [];
const shape = d => [...d.querySelectorAll('*')].map(
  e => e.tagName + '[' + [...e.attributes].map(a => a.name).join() + ']').join(' ');
async function look(number) {
  const frame = document.createElement('iframe');
  frame.width = 1000; frame.height = 800; frame.src = '/page/' + number;
  const loaded = new Promise(done => frame.onload = done);
  document.body.append(frame);
  await loaded;
  const d = frame.contentDocument, w = frame.contentWindow;
  const found = {number, shape: d ? shape(d) : 'gone', title: d ? d.title : '',
    fetched: d ? w.performance.getEntriesByType('resource').map(e => e.name) : [],
    wide: d ? Math.max(0, d.documentElement.scrollWidth - d.documentElement.clientWidth) : -1,
    ran: d ? Object.keys(w).filter(k => k.startsWith('forged')) : []};
  frame.remove();
  return found;
}
(async () => {
  const count = COUNT;
  for (let number = 0; number < count; number++) told.push(await look(number));
  await fetch('/done', {method: 'POST', body: JSON.stringify(told)});
})();
</script>"""


@dataclass
class Site:
    """Serves pages to the browser and remembers everything else that is asked for."""

    pages: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture(name="site")
def _site() -> Iterator[tuple[Site, int]]:
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/driver":
                body = DRIVER.replace("COUNT", str(len(site.pages))).encode()
            elif self.path.startswith("/page/"):
                body = site.pages[int(self.path.removeprefix("/page/"))]
            else:
                if "canary" in self.path:
                    site.asked.append(self.path)
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            if self.path == "/done":
                site.told = json.loads(data)
                site.done.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield site, server.server_address[1]
    server.shutdown()
    server.server_close()


def browse(site: Site, port: int, profile: Path, seconds: float) -> None:
    """Let Chromium look at every page, in a profile of its own and with no way out of this machine."""
    program = shutil.which("chromium")
    assert program, "apt-get install chromium (make campaign-archive does)"
    argv = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    argv += ["--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}"]
    # Neither a page nor the browser itself reaches anything but this machine.
    argv += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0"]
    with (profile.parent / "chromium.log").open("wb") as log:
        browser = subprocess.Popen([*argv, f"http://127.0.0.1:{port}/driver"], stdout=log, stderr=log)
        try:
            assert site.done.wait(seconds), (profile.parent / "chromium.log").read_text(errors="replace")[
                -2000:
            ]
        finally:
            browser.terminate()
            browser.wait(30)


@pytest.fixture(scope="module", name="views")
def _views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DocumentView]:
    sample: SampleRun = whole_run(tmp_path_factory.mktemp("runs"))
    return {
        document: report.document_view(sample.record(), document, version, *mark)
        for (document, version), mark in sample.marks.items()
    }


def page(view: DocumentView, text: str) -> bytes:
    return open_to_all(report.render_html(with_text(view, text)))


def open_to_all(html: str) -> bytes:
    assert POLICY in html
    # A real page forbids all scripts by itself; here they may, and there must be none.
    return html.replace(POLICY, 'name="none"').encode("utf-8", errors="replace")


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_in_a_real_browser_no_payload_is_more_than_text(
    views: dict[str, DocumentView], site: tuple[Site, int], tmp_path: Path
) -> None:
    served, port = site
    payloads = hostile.payloads(port)
    assert len(set(payloads)) >= 500
    names = sorted(views)
    tried = [(name, HARMLESS) for name in names]
    # Each payload in one document, another one for the next: every document sees some of every kind.
    tried += [(names[at % len(names)], text) for at, text in enumerate(payloads)]
    served.pages = [page(views[name], text) for name, text in tried]
    served.pages.append(b"<script>forged1 = 1</script><img src=/canary-works>")

    browse(served, port, tmp_path / "profile", 3600)

    harmless = {name: told for (name, _), told in zip(tried[: len(names)], served.told, strict=False)}
    wrong = [
        (name, text, told["shape"] == harmless[name]["shape"], told["fetched"], told["ran"])
        for (name, text), told in zip(tried, served.told[:-1], strict=True)
        if told["shape"] != harmless[name]["shape"]
        or told["fetched"]
        or told["ran"]
        or told["title"] != harmless[name]["title"]
    ]
    broken = [
        (name, text, told["wide"])
        for (name, text), told in zip(tried, served.told[:-1], strict=True)
        if told["wide"] > harmless[name]["wide"]
    ]
    print(f"{len(payloads)} payloads on {len(tried)} pages of {len(names)} documents; {len(broken)} too wide")
    assert wrong == []
    assert broken == []
    # The page that does run a script and fetches is seen to: the trial itself works.
    assert served.told[-1]["ran"] == ["forged1"]
    assert served.asked == ["/canary-works"]


@pytest.fixture(scope="module", name="papers")
def _papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Paper]]:
    with papers_of(tmp_path_factory.mktemp("papers")) as papers:
        yield papers


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_in_a_real_browser_no_payload_is_more_than_text_in_papers_that_are_no_documents(
    papers: dict[str, Paper], site: tuple[Site, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annexes, Berita Acara and SOP in both languages: each payload in one, beside its harmless twin."""
    # Where lines are drawn, texts of one length are broken into the same ones.
    monkeypatch.setattr(letters, "width", lambda text, size: len(text) * size * letters.POINT * 0.6)
    served, port = site
    kinds = [(tongue, name) for tongue in LANGUAGES for name in sorted(papers)]
    tried = [(*kinds[at % len(kinds)], text) for at, text in enumerate(hostile.payloads(port))]
    for tongue, name, text in tried:
        with reading(tongue):
            pair = (papers[name](text), papers[name](twin(text)))
        served.pages += [open_to_all(html) for html in pair]

    browse(served, port, tmp_path / "profile", 5400)

    wrong = [
        (tongue.code, name, text, hostile_told["fetched"], hostile_told["ran"])
        for (tongue, name, text), hostile_told, told in zip(
            tried, served.told[::2], served.told[1::2], strict=True
        )
        if (hostile_told["shape"], hostile_told["fetched"], hostile_told["ran"]) != (told["shape"], [], [])
        or hostile_told["wide"] > told["wide"]
    ]
    print(f"{len(tried)} payloads on {len(served.pages)} pages of {len(kinds)} papers")
    assert wrong == []
    assert served.asked == []
