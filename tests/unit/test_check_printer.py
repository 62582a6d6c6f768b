"""Asking a printer: answers of IPP as printers give them, cut off and hostile, and how they are judged."""

from __future__ import annotations

import socket
import struct
import threading
from types import ModuleType
from typing import Any

import pytest
import role_modules

from runner.checks import Check
from runner.judges import printer

THRESHOLDS = {"supply_warning": 20, "supply_critical": 5, "waste_warning": 85, "waste_critical": 97,
              "queue_warning": 20, "queue_critical": 100}  # fmt: skip
GOOD: dict[str, Any] = {
    "uri": "ipp://10.0.0.9/ipp/print", "outcome": "answered", "name": "printer-tu", "model": "X",
    "state": "idle",
    "reasons": ["none"], "message": "", "is_accepting": True, "queued": 0,
    "markers": [{"name": "Hitam", "is_waste": False, "level": 75}],
}  # fmt: skip


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.module("check_printer")


def judged(facts: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    found = printer.judge(GOOD | facts, THRESHOLDS)
    Check.model_validate({"kind": "printer", "facts": {}, "findings": found})
    return {one["code"]: (one["severity"], one["measured"]) for one in found}


def marker(level: int, *, is_waste: bool = False) -> dict[str, Any]:
    return {"markers": [{"name": "Hitam", "is_waste": is_waste, "level": level}]}


def test_a_good_printer_is_good() -> None:
    assert {severity for severity, _ in judged({}).values()} == {"good"}


@pytest.mark.parametrize(
    ("facts", "code", "found"),
    [
        ({"outcome": "refused"}, "printer_reachable", ("critical", "refused")),
        ({"outcome": "login"}, "printer_reachable", ("good", "login")),
        ({"outcome": "login"}, "printer_state", ("unmeasured", None)),
        ({"state": "stopped"}, "printer_state", ("critical", "stopped")),
        ({"state": "unknown"}, "printer_state", ("unmeasured", None)),
        ({"is_accepting": False}, "printer_accepting", ("critical", None)),
        ({"reasons": ["media-empty-report"]}, "printer_reason", ("critical", "media-empty")),
        ({"reasons": ["toner-low-report"]}, "printer_reason", ("warning", "toner-low")),
        ({"reasons": ["fuser-over-temp-error"]}, "printer_reason", ("critical", "fuser-over-temp")),
        ({"reasons": ["spool-report"]}, "printer_reason", ("notice", "spool")),
        ({"reasons": ["odd"]}, "printer_reason", ("warning", "odd")),
        (marker(20), "printer_supply", ("warning", 20)),
        (marker(2), "printer_supply", ("critical", 2)),
        (marker(0), "printer_supply", ("critical", 0)),
        (marker(-3), "printer_supply", ("good", "some")),
        (marker(-2), "printer_supply", ("unmeasured", None)),
        (marker(99, is_waste=True), "printer_waste", ("critical", 99)),
        ({"markers": []}, "printer_supply", ("unmeasured", None)),
        ({"queued": 20}, "printer_queue", ("warning", 20)),
        ({"queued": None}, "printer_queue", ("unmeasured", None)),
    ],
)
def test_what_is_wrong_with_a_printer(facts: dict[str, Any], code: str, found: tuple[str, Any]) -> None:
    assert judged(facts)[code] == found


def value(tag: int, name: str, raw: bytes) -> bytes:
    return struct.pack(">BH", tag, len(name)) + name.encode() + struct.pack(">H", len(raw)) + raw


def number(tag: int, name: str, said: int) -> bytes:
    return value(tag, name, struct.pack(">i", said))


HEAD = struct.pack(">HHi", 0x0101, 0, 1)
ANSWER = b"".join([
    HEAD,
    b"\x01",
    value(0x47, "attributes-charset", b"utf-8"),
    b"\x04",
    value(0x42, "printer-name", b"printer-tu"),
    value(0x36, "printer-make-and-model", b"\x00\x02id\x00\x05Merek"),
    number(0x23, "printer-state", 5),
    value(0x44, "printer-state-reasons", b"media-empty-error"),
    value(0x44, "", b"toner-low-warning"),
    value(0x22, "printer-is-accepting-jobs", b"\x00"),
    number(0x21, "queued-job-count", 7),
    value(0x34, "media-col-ready", b""),
    value(0x4A, "", b"printer-state"),
    number(0x21, "", 3),
    value(0x37, "", b""),
    value(0x42, "marker-names", b"Hitam"),
    value(0x42, "", b"Limbah"),
    value(0x44, "marker-types", b"toner"),
    value(0x44, "", b"wasteToner"),
    number(0x21, "marker-levels", 4),
    number(0x21, "", 50),
    b"\x03",
])  # fmt: skip


def test_what_a_printer_says(module: ModuleType) -> None:
    assert module.told(module.decoded(ANSWER)) == {
        "name": "printer-tu",
        "model": "Merek",
        # What stands within a collection is no state of the printer.
        "state": "stopped",
        "reasons": ["media-empty-error", "toner-low-warning"],
        "message": "",
        "is_accepting": False,
        "queued": 7,
        "markers": [
            {"name": "Hitam", "is_waste": False, "level": 4},
            {"name": "Limbah", "is_waste": True, "level": 50},
        ],
    }


@pytest.mark.parametrize("end", range(len(ANSWER)))
def test_an_answer_that_was_cut_off_is_not_understood(module: ModuleType, end: int) -> None:
    with pytest.raises(module.NotUnderstoodError):
        module.decoded(ANSWER[:end])


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\x02id", b"\x00\x02id\x00\x06Merek", b"\xff\xffid"])
def test_a_text_with_a_language_has_lengths_of_its_own(module: ModuleType, raw: bytes) -> None:
    with pytest.raises(module.NotUnderstoodError):
        module.decoded(HEAD + value(0x36, "printer-make-and-model", raw) + b"\x03")


@pytest.mark.parametrize("at", range(0, len(ANSWER), 3))
@pytest.mark.parametrize("byte", [0x00, 0x03, 0x34, 0xFF])
def test_an_altered_answer_is_read_or_not_understood_and_nothing_else(
    module: ModuleType, at: int, byte: int
) -> None:
    altered = ANSWER[:at] + bytes([byte]) + ANSWER[at + 1 :]
    try:
        told = module.told(module.decoded(altered))
    except (ValueError, module.RefusedError):
        return
    printer.judge({"uri": "x", "outcome": "answered", **told}, THRESHOLDS)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("type=toner;class=supplyThatIsConsumed;maxcapacity=200;level=50;", [False, 25]),
        ("type=wasteToner;class=receptacleThatIsFilled;maxcapacity=100;level=99;", [True, 99]),
        ("type=toner;maxcapacity=-2;level=-3;", [False, -3]),
        ("type=toner;level=many", None),
        ("nonsense", None),
    ],
)
def test_supplies_as_newer_printers_tell_them(module: ModuleType, line: str, told: list[Any] | None) -> None:
    said = {"printer-supply": [line], "printer-supply-description": ["Hitam"]}
    found = [{"name": "Hitam", "is_waste": told[0], "level": told[1]}] if told else []
    assert module.supplies(said) == found


def test_the_question_can_be_read_back(module: ModuleType) -> None:
    asked = module.question("ipp://x/ipp/print")
    # An operation stands where an answer has its status.
    said = module.decoded(asked[:2] + b"\x00\x00" + asked[4:])
    assert (said["printer-uri"], len(said["requested-attributes"])) == (["ipp://x/ipp/print"], 13)


def take_request(peer: socket.socket) -> None:
    # To the end of its body: closing a connection with something unread in it cuts off the answer too.
    with peer.makefile("rb") as request:
        length = 0
        while (line := request.readline()) not in {b"\r\n", b""}:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request.read(length)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER, "answered"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "login"),
        (b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", "not understood"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + struct.pack(">HHi", 257, 0x0403, 1), "login"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhtml", "not understood"),
        (b"\xff" * 400, "not understood"),
        (b"", "cut off"),
    ],
)
def test_what_comes_over_the_network(module: ModuleType, answer: bytes, outcome: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                take_request(peer)
                peer.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        uri = f"ipp://127.0.0.1:{listening.getsockname()[1]}/ipp/print"
        assert module.measure({"uri": uri, "timeout": 5})["outcome"] == outcome
        serving.join()


def test_what_a_printer_calls_itself_has_no_control_characters(module: ModuleType) -> None:
    name = module.told(module.decoded(
        HEAD + value(0x42, "printer-name", b"\x1b[2Jprinter\xff\x00" + b"z" * 900) + b"\x03"
    ))["name"]  # fmt: skip
    assert (name[:9], len(name), name.isprintable()) == ("[2Jprinte", 200, True)
