"""One and the same code asks an address before an update, after it and in the tests that follow."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from role_modules import ROLES, shared

asked = shared("asked_addresses")


class Site(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and a redirection that leads nowhere."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/500")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="site")
def _site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_address_is_asked_once_and_redirections_are_not_followed(site: str) -> None:
    assert asked.answer_of(f"{site}/204") == {"url": f"{site}/204", "status": 204}
    assert asked.answer_of(f"{site}/302")["status"] == 302
    silent = asked.answer_of("http://127.0.0.1:1/")
    assert (silent["status"], "Refused" in silent["error"]) == (0, True)


def test_the_text_runs_alone_as_the_tests_after_an_update_send_it(site: str) -> None:
    text = (Path(ROLES) / "plan_updates/module_utils/asked_addresses.py").read_text()

    done = subprocess.run(
        [sys.executable, "-I", "-c", text, json.dumps([f"{site}/200", "http://127.0.0.1:1/"])],
        capture_output=True,
        check=True,
    )

    assert json.loads(done.stdout) == {f"{site}/200": 200, "http://127.0.0.1:1/": 0}


def test_another_kind_of_address_is_refused() -> None:
    with pytest.raises(ValueError, match="not an http or https address"):
        asked.answer_of("file:///etc/passwd")
