"""Looking at a website: real sockets on the loopback, that behave and that do not, and how it is judged."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import role_modules
from office_services import certificate

from runner.judges import website

HOST = "www.contoh.go.id"
THRESHOLDS: dict[str, Any] = {
    "statuses": [200], "text": "Beranda", "slow_seconds": 3, "timeout": 15, "tls_warning_days": 21,
    "tls_critical_days": 3, "records": [], "domain": "contoh.go.id", "domain_expires": "",
    "domain_warning_days": 60, "domain_critical_days": 14,
}  # fmt: skip
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nServer: nginx\r\n\r\nBeranda"


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.module("check_website")


Talk = Callable[[socket.socket], None]
Serve = Callable[..., int]


@pytest.fixture(name="serve")
def _serve() -> Iterator[Serve]:
    """Return a function that serves a talk on a port of the loopback, and returns the port."""
    open_sockets = []

    def serve(talk: Talk) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(listening)

        def answer() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                try:
                    with peer:
                        talk(peer)
                except OSError:
                    pass  # The client went away, as it should.

        threading.Thread(target=answer, daemon=True).start()
        return int(listening.getsockname()[1])

    yield serve
    for listening in open_sockets:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def says(answer: bytes) -> Talk:
    def talk(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(answer)

    return talk


def wanted(url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - the module's parameters
    return {
        "url": url, "text": "Beranda", "redirects": 5, "redirect_hosts": [], "records": [], "resolver": "",
        "ca_file": "", "timeout": 5, "max_bytes": 1_000_000, **more,
    }  # fmt: skip


def judged(facts: dict[str, Any], **more: Any) -> dict[str, tuple[str, Any]]:  # noqa: ANN401 - thresholds
    found = website.judge(facts, THRESHOLDS | more)
    return {finding["code"]: (finding["severity"], finding["measured"]) for finding in found}


def server(folder: Path, **made: Any) -> tuple[ssl.SSLContext, str]:  # noqa: ANN401 - of a certificate
    """Return a server's side with a new certificate, and the file of the authority that signed it."""
    new = certificate(**made)
    (folder / "ca.pem").write_bytes(new.authority)
    (folder / "site.pem").write_bytes(new.site + new.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.pem")
    return context, str(folder / "ca.pem")


def over_tls(context: ssl.SSLContext, answer: bytes) -> Talk:
    def talk(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as safe:
            safe.recv(4096)
            safe.sendall(answer)

    return talk


@pytest.fixture(name="at_home")
def _at_home(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is this machine's."""
    monkeypatch.setattr(module, "address_of", lambda _visit, _host: "127.0.0.1")


def test_a_page_that_is_as_it_should_be_is_good(module: ModuleType, serve: Serve) -> None:
    facts = module.measure(wanted(f"http://127.0.0.1:{serve(says(PAGE))}/"))
    assert judged(facts) == {
        "website_reachable": ("good", "answered"),
        "website_status": ("good", 200),
        "website_content": ("good", "there"),
        "website_response_time": ("good", facts["seconds"]),
        "tls_absent": ("notice", None),
        "dns_record": ("unmeasured", None),
        "domain_expiry": ("unmeasured", None),
    }


@pytest.mark.parametrize(
    ("answer", "code", "found"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "website_status", ("critical", 500)),
        (PAGE.replace(b"Beranda", b"deface!"), "website_content", ("critical", "missing")),
        (b"", "website_reachable", ("critical", "cut off")),
        # A head that was cut off in the middle of a line: an answer without a length and without the text.
        (b"HTTP/1.1 200 OK\r\nContent-Le", "website_content", ("critical", "missing")),
        (b"\x00\xff" * 300 + b"\r\n", "website_reachable", ("critical", "not understood")),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "website_reachable", ("critical", "not understood")),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 90_000, "website_reachable", ("critical", "not understood")),
    ],
)
def test_what_a_server_says_wrong_is_told_apart(
    module: ModuleType, serve: Serve, answer: bytes, code: str, found: tuple[str, Any]
) -> None:
    told = judged(module.measure(wanted(f"http://127.0.0.1:{serve(says(answer))}/")))
    assert told[code] == found


def test_a_server_that_drips_is_given_up_at_the_deadline(module: ModuleType, serve: Serve) -> None:
    def drip(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            peer.sendall(b".")
            time.sleep(0.1)

    facts = module.measure(wanted(f"http://127.0.0.1:{serve(drip)}/", timeout=1))
    assert judged(facts)["website_reachable"] == ("critical", "timeout")


def test_nobody_listening_is_refused(module: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert judged(module.measure(wanted(f"http://127.0.0.1:{port}/")))["website_reachable"][1] == "refused"


def redirect(target: str) -> Talk:
    return says(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/lagi", "too many"),
        ("http://192.0.2.1/hapus", "elsewhere"),
        ("http://judi.example/", "elsewhere"),
        ("file:///etc/passwd", "elsewhere"),
        ("ftp://127.0.0.1/", "elsewhere"),
    ],
)
def test_redirects_are_bounded_and_stay_at_the_website(
    module: ModuleType, serve: Serve, target: str, told: str
) -> None:
    found = judged(module.measure(wanted(f"http://127.0.0.1:{serve(redirect(target))}/")))
    assert (found["website_redirect"], found["website_status"]) == (("critical", told), ("unmeasured", None))


def test_what_a_server_says_has_no_control_characters_and_is_short(module: ModuleType, serve: Serve) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nServer: \x1b[31mred\x07\x9b" + b"z" * 5000 + b"\r\nContent-Length: 0\r\n\r\n"
    )
    server = module.measure(wanted(f"http://127.0.0.1:{serve(says(answer))}/"))["server"]
    assert (server.startswith("[31mred"), len(server), server.isprintable()) == (True, 200, True)


@pytest.mark.usefixtures("at_home")
class TestCertificate:
    def look(
        self,
        module: ModuleType,
        serve: Serve,
        folder: Path,
        *,
        trusted: bool = True,
        **made: Any,  # noqa: ANN401
    ) -> dict[str, tuple[str, Any]]:
        context, authority = server(folder, **made)
        url = f"https://{HOST}:{serve(over_tls(context, PAGE))}/"
        found = judged(module.measure(wanted(url, ca_file=authority if trusted else "")))
        assert found["website_content"] == ("good", "there")
        return {code: value for code, value in found.items() if code.startswith("tls")}

    def test_a_good_one(self, module: ModuleType, serve: Serve, tmp_path: Path) -> None:
        assert self.look(module, serve, tmp_path) == {
            "tls_expiry": ("good", 90.0),
            "tls_name": ("good", HOST),
            "tls_chain": ("good", "ok"),
        }

    @pytest.mark.parametrize(
        ("days", "severity"), [(5, "warning"), (2, "critical"), (21, "warning"), (22, "good")]
    )
    def test_days_left(
        self, module: ModuleType, serve: Serve, tmp_path: Path, days: int, severity: str
    ) -> None:
        assert self.look(module, serve, tmp_path, days=days)["tls_expiry"] == (severity, float(days))

    def test_an_expired_one_is_told_apart_from_its_chain(
        self, module: ModuleType, serve: Serve, tmp_path: Path
    ) -> None:
        assert self.look(module, serve, tmp_path, days=-2) == {
            "tls_expired": ("critical", 2.0),
            "tls_name": ("good", HOST),
            "tls_chain": ("good", "ok"),
        }

    def test_an_expired_authority_is_the_chains_fault(
        self, module: ModuleType, serve: Serve, tmp_path: Path
    ) -> None:
        found = self.look(module, serve, tmp_path, authority_days=-1)
        assert found["tls_chain"] == ("critical", "an authority's certificate has expired")

    def test_an_unknown_authority(self, module: ModuleType, serve: Serve, tmp_path: Path) -> None:
        found = self.look(module, serve, tmp_path, trusted=False)
        assert (found["tls_chain"][0], found["tls_expiry"]) == ("critical", ("good", 90.0))

    @pytest.mark.parametrize(
        ("names", "severity"),
        [
            ((HOST,), "good"),
            (("*.contoh.go.id",), "good"),
            (("contoh.go.id",), "critical"),
            (("*.go.id",), "critical"),
            (("*",), "critical"),
            ((), "critical"),
        ],
    )
    def test_its_names(
        self, module: ModuleType, serve: Serve, tmp_path: Path, names: tuple[str, ...], severity: str
    ) -> None:
        assert self.look(module, serve, tmp_path, names=names)["tls_name"][0] == severity

    def test_a_redirect_that_gives_up_encryption_is_not_followed(
        self, module: ModuleType, serve: Serve, tmp_path: Path
    ) -> None:
        context, authority = server(tmp_path)
        plain = f"HTTP/1.1 301 Moved\r\nLocation: http://{HOST}/\r\nContent-Length: 0\r\n\r\n"
        port = serve(over_tls(context, plain.encode()))
        found = judged(module.measure(wanted(f"https://{HOST}:{port}/", ca_file=authority)))
        assert found["website_redirect"] == ("critical", "unencrypted")

    def test_a_server_without_encryption(self, module: ModuleType, serve: Serve) -> None:
        found = judged(module.measure(wanted(f"https://{HOST}:{serve(says(PAGE))}/")))
        assert (found["website_reachable"][0], found["tls_expiry"][0]) == ("critical", "unmeasured")


FACTS = {
    "url": "http://www.contoh.go.id/", "outcome": "answered", "redirect": "", "status": 200, "seconds": 0.1,
    "has_text": True, "tls": None, "today": "2026-11-21",
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            {"status": "found", "values": ["10.0.0.1", "10.0.0.2"]},
            {"dns_record": ("good", "10.0.0.1, 10.0.0.2")},
        ),
        ({"status": "found", "values": ["10.0.0.1"]}, {"dns_record": ("critical", "10.0.0.1")}),
        ({"status": "no such name", "values": []}, {"dns_record": ("critical", "no such name")}),
        (
            {"status": "no answer", "values": []},
            {"dns_resolver": ("critical", "no answer"), "dns_record": ("unmeasured", None)},
        ),
    ],
)
def test_a_record_is_what_the_office_expects(said: dict[str, Any], found: dict[str, Any]) -> None:
    records = [{"name": HOST, "type": "A", "values": ["10.0.0.2", "10.0.0.1"]}]
    told = judged({**FACTS, "records": [{"name": HOST, "type": "A", **said}]}, records=records)
    assert {code: value for code, value in told.items() if code.startswith("dns")} == found


@pytest.mark.parametrize(
    ("days", "severity"), [(100, "good"), (60, "warning"), (14, "critical"), (-1, "critical")]
)
def test_a_domain_ends_on_the_day_that_the_office_wrote_down(days: int, severity: str) -> None:
    day = date(2026, 11, 21) + timedelta(days=days)
    found = judged({**FACTS, "records": []}, domain_expires=day.isoformat())
    assert found["domain_expiry" if days >= 0 else "domain_expired"] == (severity, abs(days))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"url": "ftp://contoh.go.id/"}, "is no address of a page"),
        ({"url": "https://contoh.go.id:99999/"}, "is no address of a page"),
        ({"resolver": "dns.contoh"}, "is not ADDRESS or ADDRESS:PORT"),
        ({"records": [{"name": HOST}]}, "needs name, type and values"),
        ({"ca_file": "/nonexistent"}, "cannot be read"),
        ({"resolver": "[::1]:5353"}, ""),
        ({"resolver": "::1"}, ""),
        ({"resolver": "127.0.0.1:5353"}, ""),
    ],
)
def test_what_the_inventory_says_wrong_is_told(
    module: ModuleType, more: dict[str, Any], problem: str
) -> None:
    told = module.problem_with(wanted("https://contoh.go.id/") | more)
    assert problem in told if problem else told == ""
