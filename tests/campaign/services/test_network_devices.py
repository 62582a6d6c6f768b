"""Network devices: a real agent (net-snmp) with versions 2c and 3, and recordings played by snmpsim.

Those of the package snmpsim-data were made of real devices; those beside this file are invented, for what
real ones did not show when they were recorded: an empty battery, a row of errors, hostile names.
"""

from __future__ import annotations

import bz2
import shutil
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
DEVICES = "snmpsim-data==1.0.1"
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
    # The agent looks at its interfaces every now and then only.
    office.host("svc1").check_output("systemctl restart snmpd")
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
    folder, played = tmp_path_factory.mktemp("snmpsim"), tmp_path_factory.mktemp("recordings")
    program = simulator()
    for invented in RECORDINGS.glob("*.snmprec"):
        shutil.copy(invented, played)
    for device in REAL:
        (played / f"{Path(device).name}.snmprec").write_bytes(recording_of(program, device))
    command = [str(program), f"--data-dir={played}",
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
        # It asks for an older pysmi, which only its own program needs.
        subprocess.run([*pip[:4], "install", "--quiet", "--no-deps", DEVICES], check=True)
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


REAL = (
    "network/switch/cisco-c3750",
    "network/switch/dlink-des3200",
    "network/switch/hpe-procurve-516733-b21",
    "network/switch/h3c-e528-2",
    "network/switch/brocade-icx6430-24",
    "network/wifi/ubiquiti-m5",
    "network/router/vyatta-unknown",
    "network/router/cisco-unmarked-0",
    "UPS/eaton-93e-80",
    "UPS/phoenixtec-power",
    "UPS/huawei-gse200m",
)


def recording_of(program: Path, device: str) -> bytes:
    """Return a recording of a real device, without the places of its values that change when it is played."""
    (found,) = (program.parent.parent / "lib").glob(f"*/site-packages/snmpsim_data/data/{device}.snmprec*")
    return bz2.decompress(found.read_bytes()) if found.suffix == ".bz2" else found.read_bytes()


def said_in(recording: bytes) -> dict[str, str]:
    """Return OID and value of a recording's lines; what is written in hexadecimal is read."""
    found = {}
    for line in recording.decode("latin-1").splitlines():
        oid, kind, value = [*line.split("|", 2), "", ""][:3]
        found[oid] = bytes.fromhex(value).decode("latin-1") if kind == "4x" else value
    return found


@pytest.mark.parametrize("device", REAL)
def test_real_devices(office: Office, recorded: dict[str, Any], device: str) -> None:
    """What the check tells of a device is what its recording says."""
    said, name = said_in(recording_of(simulator(), device)), Path(device).name
    ports = {oid: value for oid, value in said.items() if oid.startswith("1.3.6.1.2.1.2.2.1.2.") and value}
    states = {
        value: said.get(oid.replace(".2.2.1.2.", ".2.2.1.8."), "")
        for oid, value in ports.items()
        if list(ports.values()).count(value) == 1 and value == value.strip()
    }
    asked = [next((port for port, state in states.items() if state == wanted), "") for wanted in "12"]
    more = {"interfaces": [port for port in asked if port], "has_battery": device.startswith("UPS/")}

    told = office.check("check_network_device", version_2c(recorded, community=name, **more))

    assert told.facts["name"] == said["1.3.6.1.2.1.1.5.0"]
    found_states = {
        f.subject: f.measured for f in told.findings if f.code == "interface_state" and f.measured
    }
    expected = dict(zip(asked, ("up", "down"), strict=True))
    assert found_states == {port: state for port, state in expected.items() if port}
    if device.startswith("UPS/"):
        assert found(told, "ups_battery").measured == "normal"
        # The battery of each was sound; two of them measure less than they have objects for.
        assert not [f for f in told.findings if f.code.startswith("ups_") and f.severity == "critical"]


def test_what_a_device_says_cannot_look_like_another_answer(office: Office, recorded: dict[str, Any]) -> None:
    more = {"community": "saklar-jahat", "interfaces": ["ge1"]}
    told = office.check("check_network_device", version_2c(recorded, **more))
    assert found(told, "interface_state").measured == "down"
    assert (told.facts["name"].isprintable(), len(told.facts["name"])) == (True, 200)
