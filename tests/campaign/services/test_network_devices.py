"""Network devices: a real agent (net-snmp) with versions 2c and 3, and snmpsim with invented recordings."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office_services import put, stop
from played import ROOT
from service_field import Office, found, not_good

from lab import faults, network

pytestmark = pytest.mark.campaign
RECORDINGS = Path(__file__).parent / "recordings"
SIMULATOR = ("snmpsim==1.2.2", "pysnmp==7.1.30", "pysmi==2.0.0")
PORT = 21_610
COMMUNITY = "hanya baca#1"
PRIVACY = "rahasia kata sandi"
SNMPD = f"""\
agentaddress udp:161
rocommunity "{COMMUNITY}"
createUser pantau SHA-256 "otentik-kata" AES "{PRIVACY}"
rouser pantau authPriv
sysName saklar-lantai-3
"""


@pytest.fixture(name="agent")
def _agent(office: Office) -> dict[str, Any]:
    """Start net-snmp's agent, and return what the office says of it."""
    host = office.host("svc1")
    put(host, "/etc/snmp/snmpd.conf", SNMPD)
    host.check_output("systemctl restart snmpd")
    return {
        "check_network_device_address": office.address("svc1"),
        "check_network_device_timeout": 12,
        "check_network_device_restarted_days": 0,
    }


def version_3(agent: dict[str, Any], **more: str) -> dict[str, Any]:
    said = {"version": "3", "user": "pantau", "auth_password": "otentik-kata", "privacy_password": PRIVACY}
    said |= more
    return agent | {f"check_network_device_{key}": value for key, value in said.items()}


def version_2c(agent: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any input
    said = {"community": COMMUNITY, "interfaces": ["eth0"]} | more
    return agent | {f"check_network_device_{key}": value for key, value in said.items()}


def test_a_good_agent_of_version_2c(office: Office, agent: dict[str, Any]) -> None:
    check = office.check("check_network_device", version_2c(agent))
    assert (not_good(check), check.facts["name"]) == ({}, "saklar-lantai-3")


def test_a_good_agent_of_version_3_and_secrets_that_nobody_sees(
    office: Office, agent: dict[str, Any]
) -> None:
    check = office.check("check_network_device", version_3(agent))
    assert not_good(check) == {}
    assert office.played
    said = office.played.output + str(office.played.evidence) + (office.folder / "channel.jsonl").read_text()
    assert [word for word in ("otentik-kata", PRIVACY) if word in said] == []


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"user": "bukan-siapa"}, {"snmp_login": "critical"}),
        ({"auth_password": "salah-sekali"}, {"snmp_login": "critical"}),
        # The agent cannot read such a question, and drops it.
        ({"privacy_password": "salah-sekali"}, {"snmp_answer": "critical"}),
    ],
)
def test_a_wrong_account_of_version_3(
    office: Office, agent: dict[str, Any], more: dict[str, str], wrong: dict[str, str]
) -> None:
    assert not_good(office.check("check_network_device", version_3(agent, **more))) == wrong


def test_a_wrong_community(office: Office, agent: dict[str, Any]) -> None:
    told = office.check("check_network_device", version_2c(agent, community="salah"))
    assert (not_good(told), found(told, "device_reachable").severity) == ({"snmp_answer": "critical"}, "good")


def test_a_stopped_agent_and_a_device_that_is_off(office: Office, agent: dict[str, Any]) -> None:
    stop(office.host("svc1"), "snmpd")
    assert not_good(office.check("check_network_device", version_2c(agent))) == {"snmp_answer": "critical"}
    faults.cut_cable(office.lab, office.lab.host("svc1"))
    assert not_good(office.check("check_network_device", version_2c(agent))) == {
        "device_reachable": "critical"
    }


def test_an_interface_that_is_down_and_one_that_is_gone(office: Office, agent: dict[str, Any]) -> None:
    machine = office.lab.machine(office.lab.host("svc1"))
    network.ip(["link add kabel2 type veth peer name kabel3"], machine)
    told = office.check("check_network_device", version_2c(agent, interfaces=["eth0", "kabel2", "kabel9"]))
    states = {f.subject: (f.severity, f.measured) for f in told.findings if f.code == "interface_state"}
    network.ip(["link delete kabel2"], machine)
    assert states == {
        "eth0": ("good", "up"),
        "kabel2": ("critical", "down"),
        "kabel9": ("critical", "missing"),
    }


@pytest.fixture(name="recorded", scope="module")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Play the recordings by snmpsim; each is the community of its name."""
    folder = tmp_path_factory.mktemp("snmpsim")
    command = [str(simulator()), f"--data-dir={RECORDINGS}",
               f"--cache-dir={folder}", f"--agent-udpv4-endpoint=127.0.0.1:{PORT}",
               "--process-user=root", "--process-group=root"]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as responder:
        try:
            await_udp(responder, folder / "log")
            yield {
                "check_network_device_address": "127.0.0.1",
                "check_network_device_port": PORT,
                "check_network_device_timeout": 30,
            }
        finally:
            responder.terminate()


def simulator() -> Path:
    """Return snmpsim's program, in an environment of its own: it needs more than it says that it needs."""
    place = ROOT / "build" / "snmpsim"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *SIMULATOR]
        subprocess.run(pip, check=True)
        (place / "ready").touch()
    return place / "bin" / "snmpsim-command-responder"


def await_udp(responder: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the port is taken."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert responder.poll() is None, log.read_text()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trying:
            try:
                trying.bind(("127.0.0.1", PORT))
            except OSError:
                return
        time.sleep(0.2)
    pytest.fail(log.read_text())


@pytest.mark.parametrize(
    ("recording", "more", "wrong"),
    [
        ("saklar-baik", {"interfaces": ["ge1", "port 2"]}, {}),
        (
            "saklar-rusak",
            {"interfaces": ["ge1", "ge2"]},
            {"interface_state": "critical", "interface_errors": "critical", "device_uptime": "notice"},
        ),
        ("ups-baik", {"has_battery": True, "interfaces": []}, {}),
        (
            "ups-padam",
            {"has_battery": True, "interfaces": []},
            {
                "ups_battery": "critical",
                "ups_charge": "critical",
                "ups_minutes": "critical",
                "ups_power": "warning",
            },
        ),
        ("apc-ganti", {"has_battery": True, "interfaces": []}, {"ups_replace": "warning"}),
    ],
)
def test_recordings(
    office: Office, recorded: dict[str, Any], recording: str, more: dict[str, Any], wrong: dict[str, str]
) -> None:
    told = office.check("check_network_device", version_2c(recorded, community=recording, **more))
    assert not_good(told) == wrong


def test_what_a_device_says_cannot_look_like_another_answer(office: Office, recorded: dict[str, Any]) -> None:
    more = {"community": "saklar-jahat", "interfaces": ["ge1"]}
    told = office.check("check_network_device", version_2c(recorded, **more))
    assert found(told, "interface_state").measured == "down"
    assert (told.facts["name"].isprintable(), len(told.facts["name"])) == (True, 200)
