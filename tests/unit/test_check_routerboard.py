"""Asking a RouterBOARD by the real client of its API, against an emulator of it, and how it is judged."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import role_modules
from office_services import certificate
from routeros_emulator import PASSWORD, ROWS, USER, Rows, encoded, router, with_row

from runner.checks import Check
from runner.judges import routerboard

THRESHOLDS: dict[str, Any] = {
    "restarted_days": 1, "cpu_warning": 80, "cpu_critical": 95, "memory_warning": 85, "memory_critical": 95,
    "disk_warning": 85, "disk_critical": 95, "temperature_warning": 65, "temperature_critical": 80,
}  # fmt: skip
RESOURCE, UPDATE = "/system/resource/print", "/system/package/update/print"
FIRMWARE, HEALTH = "/system/routerboard/print", "/system/health/print"


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.module("check_routerboard")


def measured(module: ModuleType, port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters
    wanted = {"address": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD, "tls": False,
              "ca_file": "", "certificate_sha256": "", "look_for_updates": False, "timeout": 5}  # fmt: skip
    facts: dict[str, Any] = module.measure(wanted | more)
    return facts


def judged(facts: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    found = routerboard.judge(facts, THRESHOLDS)
    Check.model_validate({"kind": "routerboard", "facts": facts, "findings": found})
    return {one["code"]: (one["severity"], one["measured"]) for one in found}


def test_a_good_router_is_good(module: ModuleType) -> None:
    with router() as there:
        told = judged(measured(module, there.port))
    assert {severity for severity, _ in told.values()} == {"good"}
    assert (told["routeros_update"][1], told["routerboard_uptime"][1]) == ("7.15.3", 23.2)


@pytest.mark.parametrize(
    ("rows", "code", "found"),
    [
        (with_row(UPDATE, latest_version="7.16"), "routeros_update", ("warning", "7.15.3")),
        ({**ROWS, UPDATE: [{"channel": "stable"}]}, "routeros_update", ("unmeasured", None)),
        ({**ROWS, UPDATE: []}, "routeros_update", ("unmeasured", None)),
        (with_row(FIRMWARE, upgrade_firmware="7.16"), "routerboard_firmware", ("notice", "7.15.3")),
        (with_row(RESOURCE, cpu_load="97"), "routerboard_cpu", ("critical", 97)),
        (with_row(RESOURCE, free_memory="1000"), "routerboard_memory", ("critical", 100.0)),
        (with_row(RESOURCE, free_hdd_space="13421773"), "routerboard_disk", ("warning", 90.0)),
        (with_row(RESOURCE, uptime="5m4s"), "routerboard_uptime", ("notice", 0.0)),
        (with_row(HEALTH, value="70"), "routerboard_temperature", ("warning", 70.0)),
        # RouterOS 6 has one row of everything.
        ({**ROWS, HEALTH: [{"voltage": "24.1", "cpu-temperature": "81"}]}, "routerboard_temperature",
         ("critical", 81.0)),
        (with_row(RESOURCE, cpu_load="much"), "routerboard_cpu", ("unmeasured", None)),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_router(
    module: ModuleType, rows: Rows, code: str, found: tuple[str, Any]
) -> None:
    with router(rows) as there:
        assert judged(measured(module, there.port))[code] == found


def test_a_virtual_router_without_a_board_or_sensors_is_no_fault(module: ModuleType) -> None:
    rows = {key: value for key, value in ROWS.items() if key not in {FIRMWARE, HEALTH}}
    with router(rows) as there:
        assert {"routerboard_firmware", "routerboard_temperature"} & set(
            judged(measured(module, there.port))
        ) == set()


def test_a_wrong_password_is_told_apart_from_a_router_that_is_off(module: ModuleType) -> None:
    with router() as there:
        told = judged(measured(module, there.port, password="salah"))
        off = there.port
    assert (told["routerboard_reachable"][0], told["routerboard_login"][0]) == ("good", "critical")
    assert told["routeros_update"] == ("unmeasured", None)
    assert judged(measured(module, off))["routerboard_reachable"] == ("critical", "refused")


def test_news_are_asked_for_only_when_the_office_wants_it(module: ModuleType) -> None:
    command = "/system/package/update/check-for-updates"
    with router({**ROWS, command: [{"status": "System is already up to date"}]}) as there:
        measured(module, there.port)
        before = command in there.heard
        measured(module, there.port, look_for_updates=True)
        assert (before, command in there.heard) == (False, True)


class TestTls:
    @pytest.fixture(name="side")
    def _side(self, tmp_path: Path) -> tuple[ssl.SSLContext, str, str]:
        made = certificate(names=("router",))
        (tmp_path / "ca.pem").write_bytes(made.authority)
        (tmp_path / "router.pem").write_bytes(made.site + made.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "router.pem")
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.site.decode())).hexdigest()
        return context, digest, str(tmp_path / "ca.pem")

    def test_a_certificate_of_the_office_s_authority_for_another_name(
        self, module: ModuleType, side: tuple[ssl.SSLContext, str, str]
    ) -> None:
        with router(tls=side[0]) as there:
            told = judged(measured(module, there.port, tls=True, ca_file=side[2]))
            assert (told["routerboard_certificate"][0], PASSWORD in str(there.heard)) == ("critical", False)

    @pytest.mark.parametrize("wrong", [False, True])
    def test_the_digest_that_the_office_wrote_down(
        self, module: ModuleType, side: tuple[ssl.SSLContext, str, str], *, wrong: bool
    ) -> None:
        digest = ":".join(side[1][n : n + 2] for n in range(0, 64, 2)).upper()
        digest = digest.replace("A", "B").replace("1", "2") if wrong else digest
        with router(tls=side[0]) as there:
            told = judged(measured(module, there.port, tls=True, certificate_sha256=digest))
            assert (told["routerboard_reachable"][0], "routerboard_certificate" in told) == ("good", wrong)
            assert (PASSWORD in str(there.heard)) is not wrong


def flood(peer: socket.socket) -> None:
    while True:
        peer.sendall(encoded("!re", "=x=" + "y" * 1000))


def drip(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"\x7f")
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (lambda _peer: None, {"cut off"}),
        (lambda peer: peer.sendall(b"\xff\xff\xff\xff"), {"not understood"}),
        (lambda peer: peer.sendall(b"\xef\xff\xff\xff" + b"z" * 100), {"cut off"}),
        (
            lambda peer: peer.sendall(encoded("!done") + encoded("!odd", "nonsense")),
            {"cut off", "not understood"},
        ),
        (lambda peer: peer.sendall(encoded("!fatal", "session terminated")), {"not understood", "cut off"}),
        (lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), {"cut off", "not understood"}),
        (flood, {"cut off", "timeout"}),
        (drip, {"timeout"}),
    ],
)
def test_what_is_no_router_is_no_answer(
    module: ModuleType, answer: Callable[[socket.socket], None], outcome: set[str]
) -> None:
    with router(answer=answer) as there:
        facts = measured(module, there.port, timeout=1.5)
    assert facts["outcome"] in outcome
    assert judged(facts)["routerboard_reachable"][0] == "critical"


def test_only_so_much_is_read_of_a_router(module: ModuleType) -> None:
    ours, theirs = socket.socketpair()
    got = []

    def listen() -> None:
        capped = module.CappedSocket(ours)
        for _ in range(50):
            theirs.sendall(b"x" * 50_000)
            got.append(len(capped.recv(10**9)))

    with ours, theirs, pytest.raises(ConnectionError, match="says too much"):
        listen()
    assert 1_000_000 <= sum(got) < 1_100_000


def test_what_a_router_calls_itself_has_no_control_characters(module: ModuleType) -> None:
    with router({**ROWS, "/system/identity/print": [{"name": "kantor \x1b[2Jé" + "x" * 900}]}) as there:
        name = measured(module, there.port)["name"]
    assert (name[:12], len(name), name.isprintable()) == ("kantor [2Jéx", 200, True)
