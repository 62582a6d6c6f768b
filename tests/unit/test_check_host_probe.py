"""The probe that is sent to hosts: how it reads what kernels, dpkg and others say, and what it bears."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from office_services import certificate
from role_modules import ROLES, loaded

SHARED = ROLES / "plan_updates" / "module_utils"


@pytest.fixture(scope="module", name="probe")
def _probe() -> Iterator[ModuleType]:
    """Load the probe beside the modules that are sent along with it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("certificate_end", "clamav_database", "running_code"):
            patch.setitem(sys.modules, name, loaded(SHARED / f"{name}.py"))
        yield loaded(ROLES / "check_host" / "files" / "check_host_probe.py")


@pytest.fixture(scope="module", name="action")
def _action() -> ModuleType:
    return loaded(ROLES / "check_host" / "action_plugins" / "check_host_probe.py")


# The kernel's tables ----------------------------------------------------------------------------------

MEMINFO = """\
MemTotal:        8051248 kB
MemFree:          214312 kB
MemAvailable:    6480520 kB
SwapTotal:       1000444 kB
SwapFree:        1000444 kB
HugePages_Total:       0
"""


def test_memory_is_told_in_bytes(probe: ModuleType) -> None:
    assert probe.parse_meminfo(MEMINFO) == {
        "total": 8051248 * 1024,
        "available": 6480520 * 1024,
        "swap_total": 1000444 * 1024,
        "swap_free": 1000444 * 1024,
    }


def test_memory_without_what_is_needed_is_unmeasured(probe: ModuleType) -> None:
    with pytest.raises(probe.UnmeasuredError, match="tells nothing of available"):
        probe.parse_meminfo(MEMINFO.replace("MemAvailable", "MemElse"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17 (sshd) S 1 17 17 0", ("sshd", "S")),
        ("9 (a) b) (c) Z 1 1", ("a) b) (c", "Z")),
        ("9 (x\n) D 1", ("x\n", "D")),
        ("9 (cut", ("", "?")),
        ("", ("", "?")),
    ],
)
def test_state_of_a_process_whose_name_holds_anything(
    probe: ModuleType, text: str, expected: tuple[str, str]
) -> None:
    assert probe.parse_stat(text) == expected


MOUNTS = """\
21 25 0:20 / /proc rw,nosuid - proc proc rw
25 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw,errors=remount-ro
26 25 254:2 / /var rw,relatime - ext4 /dev/vda2 ro,errors=remount-ro
27 25 254:1 /srv/data /export rw,relatime - ext4 /dev/vda1 rw
28 25 0:44 / /run rw,nosuid - tmpfs tmpfs rw,size=100k
29 25 0:45 / /mnt/my\\040disk rw - nfs4 nas:/vol rw
30 25 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
31 25 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
32 25 0:61 / /sys/fs/cgroup rw - tmpfs tmpfs ro
33 28 0:62 / /run rw - tmpfs tmpfs rw
broken line
34 25
"""


def test_file_systems_are_told_once_and_pretended_ones_not(probe: ModuleType) -> None:
    assert probe.parse_mounts(MOUNTS) == [
        {"place": "/", "type": "ext4", "read_only": False},
        {"place": "/mnt/my disk", "type": "nfs4", "read_only": False},
        {"place": "/run", "type": "tmpfs", "read_only": False},
        {"place": "/var", "type": "ext4", "read_only": True},
    ]


def test_a_disk_that_does_not_answer_holds_up_no_other(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(place: str) -> os.statvfs_result:
        if place == "/dead":
            time.sleep(60)
        return real(place)

    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", hang)
    monkeypatch.setattr(probe, "DISK_SECONDS", 0.5)
    table = "\n".join(
        f"1 1 0:{n} / {place} rw - nfs4 nas rw" for n, place in enumerate(("/", "/dead", "/usr"))
    )
    monkeypatch.setattr(probe, "text_of", lambda path: table if "mountinfo" in path else "")
    told = {disk["place"]: disk.get("error", "") for disk in probe.disks({})["items"]}
    assert told == {"/": "", "/dead": "no_answer", "/usr": ""}


PORTS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0100000A:0016 0200000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 3
   3: short
"""
PORTS6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000001000000:0CEA 00000000000000000000000000000000:0000 0A
"""


def test_listening_ports_and_who_reaches_them(probe: ModuleType) -> None:
    assert probe.parse_ports(PORTS, "0A") == {(22, False), (5432, True)}
    assert probe.parse_ports(PORTS6, "0A") == {(80, False), (3306, True)}


def test_addresses_that_are_the_loopback_s_in_the_form_of_the_other_ip(probe: ModuleType) -> None:
    mapped = PORTS6.replace("0" * 24 + "01000000:0CEA", "0000000000000000FFFF00000100007F:0CEA")
    assert probe.parse_ports(mapped, "0A") == {(80, False), (3306, True)}
    open_to_all = PORTS6.replace("0" * 24 + "01000000:0CEA", "0000000000000000FFFF00000100000A:0CEA")
    assert probe.parse_ports(open_to_all, "0A") == {(80, False), (3306, False)}


def test_only_a_port_of_udp_may_have_been_chosen_by_the_kernel(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What listens by TCP was started to be called; by UDP it may be the other end of a question."""
    row = "  0: 00000000:9C40 00000000:0000 {state} 0:0 0:0 0 0 0 1\n"
    tables = {
        "/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
        "/proc/net/tcp": "head\n" + row.format(state="0A"),
        "/proc/net/udp": "head\n" + row.format(state="07") + row.format(state="07").replace("9C40", "0202"),
    }
    monkeypatch.setattr(probe, "text_of", lambda path: tables.get(path, "head\n"))
    assert probe.ports({})["items"] == [
        {"port": "tcp/40000", "local": False, "chosen": False},
        {"port": "udp/514", "local": False, "chosen": False},
        {"port": "udp/40000", "local": False, "chosen": True},
    ]


# Antivirus --------------------------------------------------------------------------------------------


@contextmanager
def clamd(family: socket.AddressFamily, address: Any) -> Iterator[Any]:  # noqa: ANN401 - as sockets have it
    """Answer as clamd does which database is loaded."""
    with socket.socket(family) as listening:
        listening.bind(address)
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    if peer.recv(100) == b"zVERSION\0":
                        peer.sendall(b"ClamAV 1.4.3/27500/Wed Jun 23 01:34:05 2021\0")

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listening.getsockname()
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(name="scanner")
def _scanner(probe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the settings of a scanner of the RHEL family on a host that has nothing of Debian's."""
    there = {"/usr/sbin/clamd"}
    real = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda path: str(path) in there or ("/usr/" not in str(path) and real(path))
    )
    database = probe.clamav_database
    settings = tmp_path / "scan.conf"
    monkeypatch.setattr(database, "CLAMD_CONFS", (tmp_path / "clamd.conf", settings))
    monkeypatch.setattr(database, "FRESHCLAM_CONFS", (tmp_path / "none", tmp_path / "freshclam.conf"))
    (tmp_path / "freshclam.conf").write_text(f"DatabaseDirectory {tmp_path}\n", encoding="utf-8")
    (tmp_path / "daily.cvd").write_bytes(b"ClamAV-VDB:23 Jun 2021 01-34 -0400:27501:1:")
    return settings


@pytest.mark.parametrize("is_active", [True, False])
def test_a_scanner_is_asked_where_its_settings_say(
    probe: ModuleType, scanner: Path, monkeypatch: pytest.MonkeyPatch, *, is_active: bool
) -> None:
    monkeypatch.setattr(probe, "printed_by", lambda _argv: "active\n" if is_active else "\ninactive\n")
    path = str(scanner.parent / "clamd.sock")
    with clamd(socket.AF_UNIX, path):
        scanner.write_text(f"# LocalSocket /none\nLocalSocket {path}\n", encoding="utf-8")
        told = probe.antivirus({})
    assert (told["engine"], told["loaded"], told["on_disk"], told["unanswered"]) == (
        "1.4.3",
        "27500",
        "27501",
        "",
    )


@pytest.mark.parametrize("named", ["", "TCPAddr 127.0.0.1\n", "TCPAddr 0.0.0.0\n", "TCPAddr localhost\n"])
def test_a_scanner_without_a_local_socket_is_asked_over_the_loopback(
    probe: ModuleType, scanner: Path, named: str
) -> None:
    with clamd(socket.AF_INET, ("127.0.0.1", 0)) as (_, port):
        scanner.write_text(f"{named}TCPSocket {port}\n", encoding="utf-8")
        assert probe.antivirus({})["loaded"] == "27500"


@pytest.mark.parametrize(
    ("settings", "states", "is_root", "why"),
    [
        ("LocalSocket /none\n", "active\n", True, "no_answer"),
        ("LocalSocket /none\n", "inactive\n\nactivating\n", True, "no_answer"),
        ("LocalSocket /none\n", "active\n", False, "needs_root"),
        ("LocalSocket /none\n", "inactive\n\nfailed\n", True, ""),
        ("LocalSocket /none\n", "", False, ""),
        # Another machine may have the address by now: it is not asked.
        ("TCPSocket 3310\nTCPAddr 192.0.2.1\n", "active\n", True, "listens_elsewhere"),
        ("TCPSocket 3310\nTCPAddr 192.0.2.1\n", "inactive\n", True, ""),
        ("TCPSocket wrong\n", "active\n", True, "listens_elsewhere"),
    ],
)
def test_a_scanner_that_is_at_work_and_gives_no_answer_has_not_stopped(  # noqa: PLR0917 - a table's columns
    probe: ModuleType,
    scanner: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    states: str,
    why: str,
    *,
    is_root: bool,
) -> None:
    asked = []
    monkeypatch.setattr(probe, "printed_by", lambda argv: asked.append(argv[-2:]) or states)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if is_root else 1000)
    scanner.write_text(settings, encoding="utf-8")
    told = probe.antivirus({})
    assert (told["loaded"], told["unanswered"]) == (None, why)
    assert asked == [["clamav-daemon.service", "clamd@*.service"]]


def test_a_scanner_on_a_host_without_systemd_is_told_as_it_answers(
    probe: ModuleType, scanner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_argv: list[str]) -> str:
        raise probe.UnmeasuredError("systemctl is not there")

    monkeypatch.setattr(probe, "printed_by", fails)
    scanner.write_text("LocalSocket /none\n", encoding="utf-8")
    assert probe.antivirus({})["unanswered"] == ""


# Packages, journal, certificates ----------------------------------------------------------------------

STATUS = """\
Package: whole
Status: install ok installed
Description: Status: of something

Package: gone
Status: deinstall ok config-files

Package: half
Status: install ok half-configured

Package: again
Status: install reinstreq installed

Package: odd
Status: what
"""


def test_packages_that_are_not_whole(probe: ModuleType) -> None:
    assert probe.parse_dpkg_status(STATUS.splitlines()) == [
        {"package": "half", "state": "install ok half-configured"},
        {"package": "again", "state": "install reinstreq installed"},
        {"package": "odd", "state": "what"},
    ]


def test_errors_are_counted_by_unit(probe: ModuleType) -> None:
    said = [
        {"_SYSTEMD_UNIT": "a.service"},
        {"_SYSTEMD_UNIT": "a.service", "SYSLOG_IDENTIFIER": "x"},
        {"SYSLOG_IDENTIFIER": "sudo"},
        {},
        {"_SYSTEMD_UNIT": [1, 2]},
    ]
    counted = probe.count_by_unit([json.dumps(line) for line in said])
    assert counted["count"] == 5
    assert counted["units"][0] == {"unit": "a.service", "count": 2}
    assert {each["unit"] for each in counted["units"]} == {"a.service", "sudo", "kernel", "?"}


@pytest.fixture(name="certificate_file")
def _certificate_file(tmp_path: Path) -> Path:
    path = tmp_path / "cert.pem"
    made = certificate(days=9)
    path.write_bytes(made.site)
    (tmp_path / "key.pem").write_bytes(made.key)
    return path


def test_the_end_of_a_certificate(probe: ModuleType, certificate_file: Path) -> None:
    assert (
        abs(probe.certificate_end.end_of_certificate(str(certificate_file)) - time.time() - 9 * 86400) < 3600
    )


def test_the_end_of_a_certificate_without_python_s_ssl(
    probe: ModuleType, certificate_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ssl = probe.certificate_end.end_of_certificate(str(certificate_file))
    monkeypatch.setitem(sys.modules, "_ssl", None)
    assert probe.certificate_end.end_of_certificate(str(certificate_file)) == with_ssl


def test_what_is_no_certificate_is_told_and_the_others_are_read(
    probe: ModuleType, certificate_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_bytes(b"\0\1garbage")
    (tmp_path / "folder.pem").mkdir()
    assert certificate_file.exists()
    wanted = {"certificates": [f"{tmp_path}/*.pem", "/nowhere/plain.pem", "/nowhere/*.pem"]}
    told = {Path(each["path"]).name: each.get("error") for each in probe.certificates(wanted)["items"]}
    assert told == {
        "cert.pem": None,
        "key.pem": "it is no certificate",
        "none.pem": "it is no certificate",
        "folder.pem": "it is no file",
        "plain.pem": "not_there",
    }


def test_folders_that_may_not_be_read_are_told_and_those_that_are_not_there_are_not(
    probe: ModuleType, certificate_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a host whose certificates nobody could look at would be as one without any."""
    for name in ("live/a", "live/b", "hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "live" / "README").touch()
    real_stat, real_access = os.stat, os.access

    def guarded(path: Any, *rest: Any, **more: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat has it
        if str(path) == f"{tmp_path}/hidden/live":
            raise PermissionError(13, "Permission denied", path)
        return real_stat(path, *rest, **more)

    monkeypatch.setattr(os, "stat", guarded)
    monkeypatch.setattr(
        os, "access", lambda path, mode: not str(path).endswith("live/b") and real_access(path, mode)
    )
    patterns = ["cert.pem", "live/*/*.pem", "hidden/live/*/fullchain.pem", "absent/*/fullchain.pem"]

    told = probe.certificates({"certificates": [f"{tmp_path}/{pattern}" for pattern in patterns]})["items"]

    assert {each["path"]: each.get("error") for each in told} == {
        str(certificate_file): None,
        f"{tmp_path}/live/b": "needs_root",
        f"{tmp_path}/hidden/live": "needs_root",
    }


@pytest.mark.parametrize(
    ("said", "expected"), [("Jun  1 12:00:00 2026 GMT", 1780315200), ("Dec 31 23:59:59 2049 GMT", 2524607999)]
)
def test_a_certificate_s_time(probe: ModuleType, said: str, expected: int) -> None:
    assert probe.certificate_end.seconds_of(said) == expected


# Backup -----------------------------------------------------------------------------------------------


def test_the_last_backup_is_what_the_role_left(probe: ModuleType, tmp_path: Path) -> None:
    marker = tmp_path / "verified-snapshot.json"
    assert probe.backup({"backup_marker": str(marker)}) == {"at": None}
    marker.write_text('{"started": 1700000000.5, "tag": "x"}', encoding="utf-8")
    assert probe.backup({"backup_marker": str(marker)}) == {"at": 1700000000.5}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"started": ', "[" * 100_000])
def test_a_marker_that_is_none_is_unmeasured(probe: ModuleType, tmp_path: Path, text: str) -> None:
    marker = tmp_path / "verified-snapshot.json"
    marker.write_text(text, encoding="utf-8")
    with pytest.raises(probe.UnmeasuredError, match="not what a backup leaves"):
        probe.backup({"backup_marker": str(marker)})


# Limits -----------------------------------------------------------------------------------------------


def test_a_command_that_hangs_is_given_up(probe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "COMMAND_SECONDS", 0.3)
    with pytest.raises(probe.UnmeasuredError, match="did not end"):
        probe.printed_by(["sleep", "60"])


def test_a_command_that_prints_without_end_is_stopped(probe: ModuleType) -> None:
    with pytest.raises(probe.UnmeasuredError, match="more than 1000 bytes"):
        probe.printed_by(["yes"], most=1000)


@pytest.mark.parametrize(("argv", "why"), [(["rawat-no-such"], "is not there"), (["false"], "ended with 1")])
def test_a_command_that_is_not_there_or_fails(probe: ModuleType, argv: list[str], why: str) -> None:
    with pytest.raises(probe.UnmeasuredError, match=why):
        probe.printed_by(argv)


def test_long_lists_are_cut_and_say_by_how_much(probe: ModuleType) -> None:
    told = probe.capped(range(1000))
    assert (len(told["items"]), told["cut"]) == (200, 800)


# The whole program, as it is sent ---------------------------------------------------------------------


def sent(action: ModuleType, wanted: dict[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
    program = action._program(wanted)
    python = [sys.executable, "-I", "-S", "-B", *flags, "-"]
    return subprocess.run(python, input=program, capture_output=True, text=True, timeout=60, check=False)


WANTED = {"certificates": [], "expected_units": [], "backup_marker": "/nowhere/\u00e9'\"", "seconds": 50}


def test_the_program_answers_in_one_line_of_its_own(action: ModuleType) -> None:
    done = sent(action, WANTED)
    answer = action._read({"stdout": f"Welcome!\n{done.stdout}bye\n", "stderr": done.stderr, "rc": 0})
    assert done.stderr == ""
    assert set(answer["facts"]) | set(answer["errors"]) == {
        "system", "boot", "load", "memory", "processes", "kernel", "old_code", "units", "reboot", "disks",
        "expected_units", "ports", "clock", "certificates", "journal", "packages", "backup", "antivirus",
    }  # fmt: skip


def test_a_look_that_fails_leaves_the_others(action: ModuleType) -> None:
    answer = action._read(
        {"stdout": sent(action, {**WANTED, "certificates": 5}).stdout, "stderr": "", "rc": 0}
    )
    assert answer["errors"]["certificates"] == "TypeError: 'int' object is not iterable"
    assert "disks" in answer["facts"]


@pytest.mark.parametrize(
    ("stdout", "why"),
    [
        ("", r"did not answer what it was asked \(it ended with 127\): sh: python3: not found"),
        ("RAWAT-CHECK {", "cannot be read"),
        ("RAWAT-CHECK []", "cannot be read"),
        ("RAWAT-CHECK " + "[" * 100_000, "cannot be read"),
        ("RAWAT-CHECK " + "1" * 600_000, "at most 500000 are read"),
        ('RAWAT-CHECK {"facts": {}, "errors": [], "began": 1.0, "ended": 2.0}', "not the form"),
        ('RAWAT-CHECK {"facts": {}, "errors": {}, "began": 1, "ended": "x"}', "not the form"),
        ('RAWAT-CHECK {"facts": {}, "errors": {}, "began": NaN, "ended": 2.0}', "cannot be read"),
    ],
)
def test_an_answer_that_is_none_fails_the_host(action: ModuleType, stdout: str, why: str) -> None:
    with pytest.raises(action.UnreadableError, match=why):
        action._read({"stdout": stdout, "stderr": "sh: python3: not found", "rc": 127})


@pytest.mark.parametrize(
    ("began", "ended", "offset"),
    [
        (101, 102, 0.0),
        (100, 110, 0.0),
        (3701, 3702, 3592.0),
        (110.5, 111, 1.0),
        (40, 41, -60.0),
        (99, 100, -1.0),
    ],
)
def test_a_clock_is_off_by_what_the_round_trip_cannot_explain(
    action: ModuleType, began: float, ended: float, offset: float
) -> None:
    assert action.offset_of({"began": began, "ended": ended}, sent=100.0, received=110.0) == offset
