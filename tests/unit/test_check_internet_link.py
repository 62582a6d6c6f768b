"""The line out of the office: what the kernel and ping say, and how it is judged."""

from __future__ import annotations

import socket
import subprocess
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import role_modules

from runner.checks import Check
from runner.findings import is_disturbed
from runner.judges import internet_link
from runner.sentences import sentence

THRESHOLDS = {"loss_warning": 5, "loss_critical": 30, "latency_warning": 150, "latency_critical": 500,
              "names_warning": 500, "names_critical": 3000}  # fmt: skip
ECHO = {"target": "10.0.0.1", "status": "asked", "sent": 20, "received": 20, "average_ms": 9.5}
NAME = {"name": "www.contoh.go.id", "status": "found", "milliseconds": 12.0}


@pytest.fixture(name="modules", scope="module")
def _modules() -> tuple[ModuleType, ModuleType]:
    """Return the module and the one that asks for echoes."""
    return role_modules.module("check_internet_link"), role_modules.shared("echoes")


def judged(echoes: list[dict[str, Any]], names: list[dict[str, Any]]) -> dict[str, tuple[str, Any]]:
    found = internet_link.judge({"gateway": "", "echoes": echoes, "names": names}, THRESHOLDS)
    Check.model_validate({"kind": "internet_link", "facts": {}, "findings": found})
    return {one["code"]: (one["severity"], one["measured"]) for one in found}


@pytest.mark.parametrize(
    ("echoes", "names", "told"),
    [
        ([ECHO], [NAME], {"link_loss": ("good", 0.0), "link_latency": ("good", 9.5),
                          "link_names_time": ("good", 12.0)}),
        ([ECHO | {"received": 18, "average_ms": 200.0}], [],
         {"link_loss": ("warning", 10.0), "link_latency": ("warning", 200.0),
          "link_names": ("unmeasured", None)}),
        ([ECHO | {"received": 0, "average_ms": None}], [NAME | {"milliseconds": 4000.0}],
         {"link_loss": ("critical", 100.0), "link_latency": ("unmeasured", None),
          "link_names_time": ("critical", 4000.0)}),
        ([], [NAME | {"status": "no such name"}],
         {"link_gateway": ("critical", None), "link_names": ("critical", "no such name")}),
        ([ECHO | {"status": "no such name", "received": 0}], [NAME | {"status": "no answer"}],
         {"link_target": ("critical", "no such name"), "link_loss": ("unmeasured", None),
          "link_names": ("critical", "no answer")}),
    ],
)  # fmt: skip
def test_how_a_line_is_judged(
    echoes: list[dict[str, Any]], names: list[dict[str, Any]], told: dict[str, tuple[str, Any]]
) -> None:
    assert judged(echoes, names) == told


@pytest.mark.parametrize(
    ("targets", "is_told"),
    [(["10.0.0.1"], True), (["10.0.0.1", "192.0.2.1"], False), (["192.0.2.1"], False), ([], False)],
)
def test_a_line_of_which_only_the_gateway_was_asked_is_no_good_line(
    targets: list[str], *, is_told: bool
) -> None:
    """The gateway answers as well when the line behind it is dead."""
    echoes = [ECHO | {"target": target} for target in targets]
    found = internet_link.judge({"gateway": "10.0.0.1", "echoes": echoes, "names": [NAME]}, THRESHOLDS)
    check = Check.model_validate({"kind": "internet_link", "facts": {}, "findings": found})
    told = [sentence("internet_link", one) for one in check.findings if one.code == "link_outside"]
    assert told == (
        ["Sambungan ke luar kantor: tidak dapat diukur (hanya gerbang (gateway) yang ditanya)."]
        if is_told
        else []
    )
    assert is_disturbed("ok", {"check_internet_link": check.model_dump()}) is (is_told or not targets)


TABLE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("routes", "gateway"),
    [(TABLE, "192.168.1.1"), (TABLE.replace("0003", "0002"), ""), ("", ""), ("one line\nshort 00000000", "")],
)
def test_the_gateway_is_the_kernel_s(
    modules: tuple[ModuleType, ModuleType], routes: str, gateway: str
) -> None:
    assert modules[0].gateway_in(routes) == gateway


SAID = """\
PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.

--- 10.0.0.1 ping statistics ---
20 packets transmitted, 13 received, 35% packet loss, time 3850ms
rtt min/avg/max/mdev = 0.044/1.058/9.088/0.015 ms
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (SAID, (13, 1.058, 9.088)),
        (SAID.replace("13 received", "0 received").partition("rtt")[0], (0, None, None)),
        (SAID.replace("13 received,", "13 received, +2 duplicates,"), (13, 1.058, 9.088)),
        ("ping: sendmsg: Network is unreachable\n", (0, None, None)),
        ("", (0, None, None)),
        (SAID[:100], (0, None, None)),
    ],
)
def test_what_ping_says(
    modules: tuple[ModuleType, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    told: tuple[int, float | None, float | None],
) -> None:
    called = []

    def run(command: list[str], **_options: object) -> SimpleNamespace:
        called.append(command)
        return SimpleNamespace(stdout=said.encode())

    monkeypatch.setattr(subprocess, "run", run)
    found = modules[1].ask("127.0.0.1", 20)
    assert (found["received"], found["average_ms"], found["longest_ms"]) == told
    assert (found["sent"], called[0][0], called[0][-1]) == (20, "ping", "127.0.0.1")


@pytest.mark.parametrize("target", ["-f", "-I lo 127.0.0.1", "127.0.0.1 -f", ""])
def test_a_target_that_is_an_option_never_reaches_ping(
    modules: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Nobody is asked for such a name here; a name server would know none of them either."""

    def unknown(host: str, _port: object) -> list[object]:
        raise socket.gaierror(host)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: pytest.fail("ping was called"))
    assert modules[1].ask(target, 1)["status"] == "no such name"
