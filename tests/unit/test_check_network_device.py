"""Asking a network device: what net-snmp prints, whole, cut off and hostile, and how it is judged."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import role_modules

from runner.checks import Check
from runner.judges import network_device
from runner.sentences import sentence

THRESHOLDS: dict[str, Any] = {
    "interfaces": ["eth0"], "restarted_days": 1, "has_battery": False, "errors_warning": 0.1,
    "errors_critical": 1.0, "charge_warning": 80, "charge_critical": 40, "minutes_warning": 10,
    "minutes_critical": 5,
}  # fmt: skip
PORT = {"name": "eth0", "description": "Ethernet 0", "wanted": "up", "state": "up", "errors_in": 0,
        "errors_out": 0, "packets_in": 10_000, "packets_out": 10_000}  # fmt: skip
BATTERY = {
    "battery": "normal",
    "charge_percent": 100,
    "minutes_left": 30,
    "on_battery": False,
    "replace": False,
}
GOOD: dict[str, Any] = {
    "address": "10.0.0.2", "echoes": {"status": "asked", "sent": 3, "received": 3}, "outcome": "answered",
    "description": "Saklar", "name": "saklar-1", "uptime_seconds": 900_000, "interfaces": [PORT],
    "ups": BATTERY,
}  # fmt: skip
SILENT = {"echoes": {"status": "asked", "sent": 3, "received": 0}}


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.module("check_network_device")


def judged(facts: dict[str, Any], **more: Any) -> dict[str, tuple[str, Any]]:  # noqa: ANN401 - thresholds
    found = network_device.judge(GOOD | facts, THRESHOLDS | more)
    Check.model_validate({"kind": "network_device", "facts": {}, "findings": found})
    return {one["code"]: (one["severity"], one["measured"]) for one in found}


def test_a_good_device_is_good() -> None:
    assert {severity for severity, _ in judged({}).values()} == {"good"}


@pytest.mark.parametrize(
    ("facts", "code", "found"),
    [
        ({"outcome": "no answer"}, "snmp_answer", ("critical", "no answer")),
        ({"outcome": "no answer"}, "device_reachable", ("good", "answered")),
        ({"outcome": "no answer", **SILENT}, "device_reachable", ("critical", "no answer")),
        ({"outcome": "no answer", **SILENT}, "snmp_answer", ("unmeasured", None)),
        ({"outcome": "login", **SILENT}, "device_reachable", ("good", "answered")),
        ({"outcome": "login"}, "snmp_login", ("critical", None)),
        ({"outcome": "login"}, "interface_state", ("unmeasured", None)),
        ({"uptime_seconds": 3600}, "device_uptime", ("notice", 0.0)),
        ({"interfaces": [PORT | {"state": "down"}]}, "interface_state", ("critical", "down")),
        ({"interfaces": []}, "interface_state", ("critical", "missing")),
        ({"interfaces": [PORT | {"errors_in": 25}]}, "interface_errors", ("warning", 0.12)),
        ({"interfaces": [PORT | {"errors_out": 900}]}, "interface_errors", ("critical", 4.31)),
        (
            {"interfaces": [PORT | {"packets_in": -1, "packets_out": 5}]},
            "interface_errors",
            ("unmeasured", None),
        ),
        ({"ups": BATTERY | {"battery": "low"}}, "ups_battery", ("critical", "low")),
        ({"ups": BATTERY | {"battery": "unknown"}}, "ups_battery", ("unmeasured", None)),
        ({"ups": BATTERY | {"charge_percent": 80}}, "ups_charge", ("warning", 80)),
        ({"ups": BATTERY | {"minutes_left": 4}}, "ups_minutes", ("critical", 4)),
        ({"ups": BATTERY | {"on_battery": True}}, "ups_power", ("warning", "battery")),
        ({"ups": BATTERY | {"replace": True}}, "ups_replace", ("warning", "replace")),
    ],
)
def test_what_is_wrong_with_a_device(facts: dict[str, Any], code: str, found: tuple[str, Any]) -> None:
    assert judged(facts)[code] == found


def test_what_was_not_set_up_is_unmeasured() -> None:
    assert judged({}, interfaces=[])["interface_state"] == ("unmeasured", None)
    assert judged({"ups": None}, has_battery=True)["ups_battery"] == ("unmeasured", None)
    assert "ups_battery" not in judged({"ups": None})


def test_of_ports_that_are_well_the_worst_stands_for_all_and_bad_ones_each_for_itself() -> None:
    ports = [PORT | {"name": str(n), "errors_in": 2 * n} for n in range(10)]
    told = [
        f for f in network_device.judge(GOOD | {"interfaces": ports}, THRESHOLDS) if "errors" in f["code"]
    ]
    assert [(f["subject"], f["severity"]) for f in told] == [("9", "good")]
    ports += [PORT | {"name": f"bad{n}", "errors_in": 9000} for n in range(2)]
    told = [
        f for f in network_device.judge(GOOD | {"interfaces": ports}, THRESHOLDS) if "errors" in f["code"]
    ]
    assert [f["subject"] for f in told] == ["bad0", "bad1"]


RECORDED = """\
.1.3.6.1.2.1.1.1.0 = Hex-STRING: 53 61 6B 6C 61 72 20 43 6F 6E 74 6F 68 20 32 34\x20
20 70 6F 72 74 61\x20
.1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.8072.3.2.10
.1.3.6.1.2.1.1.3.0 = 111
.1.3.6.1.2.1.1.4.0 = Timeticks: (222) 0:00:02.22
.1.3.6.1.2.1.1.5.0 = ""
.1.3.6.1.2.1.33.1.2.1.0 = No Such Object available on this agent at this OID
.1.3.6.1.2.1.2.2.1.11.2 = Counter32: 4294967295
.1.3.6.1.2.1.2.2.1.8.1 = INTEGER: 1
"""


def test_what_net_snmp_prints(module: ModuleType) -> None:
    assert module.parsed(RECORDED) == {
        ".1.3.6.1.2.1.1.1.0": b"Saklar Contoh 24 porta",
        ".1.3.6.1.2.1.1.2.0": ".1.3.6.1.4.1.8072.3.2.10",
        ".1.3.6.1.2.1.1.3.0": 111,
        ".1.3.6.1.2.1.1.4.0": 222,
        ".1.3.6.1.2.1.1.5.0": b"",
        ".1.3.6.1.2.1.2.2.1.11.2": 4294967295,
        ".1.3.6.1.2.1.2.2.1.8.1": 1,
    }


@pytest.mark.parametrize("end", range(0, len(RECORDED), 7))
def test_an_answer_cut_off_anywhere_is_read_as_far_as_it_goes(module: ModuleType, end: int) -> None:
    assert set(module.parsed(RECORDED[:end])) <= set(module.parsed(RECORDED))


@pytest.mark.parametrize(
    "text",
    [
        ".1 = INTEGER: 99999999999999999999999999",
        ".1 = INTEGER: up(1)",
        ".1 = Hex-STRING: ZZ",
        "nonsense\n\x00\n",
        ".1 = OID: ",
        ".1 = Hex-STRING: 4",
        "Timeout: No Response from 10.0.0.1",
    ],
)
def test_odd_answers_are_no_numbers(module: ModuleType, text: str) -> None:
    assert not any(isinstance(value, int) for value in module.parsed(text).values())


def columns(module: ModuleType) -> dict[str, dict[int, Any]]:
    return {key: {} for key in [*module._COLUMNS.values(), *module._WIDE_COLUMNS.values()]}


def test_a_device_that_refuses_the_wide_counters_is_asked_all_the_same(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk(_agent: object, column: str) -> dict[int, int]:
        if column in module._WIDE_COLUMNS:
            raise module.NoAnswerError("not understood")
        return {1: 1}

    monkeypatch.setattr(module.Agent, "walk", walk)
    monkeypatch.setattr(module.Agent, "get", lambda _agent, _oids: {})
    monkeypatch.setattr(module.echoes, "ask", lambda _address, _count: SILENT["echoes"])
    wanted = {"address": "10.0.0.2", "port": 161, "version": "2c", "community": "x", "timeout": 9}

    told = module.measure(wanted)

    assert (told["outcome"], [port["packets_in"] for port in told["interfaces"]]) == ("answered", [1])


def test_what_a_device_calls_itself_has_no_control_characters(module: ModuleType) -> None:
    rows = columns(module)
    rows |= {"state": dict.fromkeys(range(900), 1), "name": {0: b"eth\x1b[2J\x00\xff" + b"x" * 999}}
    told = module.interfaces(rows)
    assert (len(told), told[0]["name"].isprintable(), len(told[0]["name"])) == (300, True, 200)
    assert (told[1]["name"], told[1]["packets_in"]) == ("1", -1)


def test_packets_are_counted_by_the_counters_that_do_not_begin_anew(module: ModuleType) -> None:
    """At a gigabit a second, 32 bits of packets are through within hours."""
    rows = columns(module)
    rows |= {"state": {1: 1, 2: 1, 3: 1}, "packets_in": {1: 5, 2: 6}, "packets_out": {1: 7, 2: 8}}
    # Of the second the device has none of 64 bits, and of the third none at all.
    rows |= {"packets_in_64": {1: 2**32 + 5, 2: 0}, "packets_out_64": {1: 2**33 + 7}}
    told = [(port["packets_in"], port["packets_out"]) for port in module.interfaces(rows)]
    assert told == [(2**32 + 5, 2**33 + 7), (6, 8), (-1, -1)]
    assert not {"packets_in_64", "packets_out_64"} & set(module.interfaces(rows)[0])


def test_faulty_packets_are_told_as_those_since_the_device_started() -> None:
    found = network_device.judge(GOOD | {"interfaces": [PORT | {"errors_in": 25}]}, THRESHOLDS)
    check = Check.model_validate({"kind": "network_device", "facts": {}, "findings": found})
    told = next(sentence("network_device", one) for one in check.findings if one.code == "interface_errors")
    assert told == "Antarmuka eth0: kesalahan 0,1% dari paket sejak perangkat menyala; batas 0,1%."


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("snmpget: Timeout", "no answer"),
        ("Timeout: No Response from udp:10.0.0.1:161", "no answer"),
        ("snmpget: Authentication failure (incorrect password, community or key)", "login"),
        ("snmpget: Unknown user name", "login"),
        ("snmpget: Decryption error", "login"),
        ("", "no answer"),
        ("Error in packet", "not understood"),
    ],
)
def test_why_there_is_no_answer(module: ModuleType, said: str, outcome: str) -> None:
    assert module.outcome_of(said) == outcome


def test_a_program_that_does_not_end_is_ended_and_one_that_floods_is_cut(module: ModuleType) -> None:
    for code, longest in (("import time; time.sleep(60)", 0), ("while True: print('x' * 1000)", 1_100_000)):
        began = time.monotonic()
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
            told = module.read_some(child, 1.0)
        assert (len(told) <= longest, child.returncode is not None) == (True, True)
        assert time.monotonic() - began < 30


def test_secrets_lie_in_a_file_of_our_own(module: ModuleType, tmp_path: Path) -> None:
    wanted = {"version": "3", "user": "pan tau", "auth_protocol": "SHA", "auth_password": 'a"b\\c#',
              "privacy_protocol": "AES", "privacy_password": "", "community": ""}  # fmt: skip
    module.write_settings(tmp_path / "snmp.conf", wanted)
    assert stat.S_IMODE((tmp_path / "snmp.conf").stat().st_mode) == 0o600
    assert (tmp_path / "snmp.conf").read_text().splitlines() == [
        "defVersion 3",
        'defSecurityName "pan tau"',
        "defSecurityLevel authNoPriv",
        "defAuthType SHA",
        'defAuthPassphrase "a\\"b\\\\c#"',
        "defPrivType AES",
    ]


@pytest.mark.parametrize(
    ("single", "told"),
    [
        ({}, None),
        (
            {"ups_status": 2, "ups_charge": 97, "ups_minutes": 41, "ups_source": 3},
            {**BATTERY, "charge_percent": 97, "minutes_left": 41, "replace": None},
        ),
        ({"ups_status": 9, "ups_source": 5}, {"battery": "unknown", "charge_percent": None,
                                              "minutes_left": None, "on_battery": True, "replace": None}),
        ({"apc_status": 3, "apc_charge": 20, "apc_left": 30_000, "apc_source": 3, "apc_replace": 2},
         {"battery": "low", "charge_percent": 20, "minutes_left": 5, "on_battery": True, "replace": True}),
    ],
)  # fmt: skip
def test_batteries_by_either_mib(
    module: ModuleType, single: dict[str, Any], told: dict[str, Any] | None
) -> None:
    assert module.ups(single) == told
