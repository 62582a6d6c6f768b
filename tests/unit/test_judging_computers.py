"""How a computer is judged: every limit from both sides, and whatever a host may say for an answer."""

from __future__ import annotations

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.checks import Check
from runner.findings import is_disturbed
from runner.judges.base import Finding
from runner.judges.computer import days_until_full, judge

DEFAULTS = yaml.safe_load(
    (Path(__file__).parents[2] / "roles/check_host/defaults/main.yml").read_text(encoding="utf-8")
)
LIMITS = {name.removeprefix("check_host_"): value for name, value in DEFAULTS.items()}
DAY = 86400
NOW = 1_800_000_000.0
GB = 1_000_000_000


def listed(*items: object, cut: int = 0) -> dict[str, Any]:
    return {"items": list(items), "cut": cut}


def disk(used: float = 50, free: float = 50, **other: object) -> dict[str, Any]:
    told = {
        "place": "/",
        "type": "ext4",
        "read_only": False,
        "bytes": 100 * GB,
        "inodes": 1000,
        "inodes_free": 900,
    }
    return {**told, "used": used * GB, "free": free * GB, **other}


GOOD: dict[str, Any] = {
    "system": {"name": "Debian GNU/Linux", "version": "12", "is_root": True, "is_container": False},
    "boot": {"uptime_seconds": 3 * DAY, "boot_id": "b"},
    "load": {"1": 9.0, "5": 1.0, "15": 0.5, "cores": 2},
    "memory": {"total": 8 * GB, "available": 4 * GB, "swap_total": 0, "swap_free": 0},
    "processes": {"count": 90, "zombies": listed(), "blocked": listed("rsync")},
    "kernel": {"running": "6.1.0-18-amd64", "installed": ["6.1.0-9-amd64", "6.1.0-18-amd64"]},
    "old_code": {**listed(), "hidden": 0},
    "units": listed(),
    "expected_units": {"a.service": {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"}},
    "reboot": {"required": False, "packages": []},
    "disks": {**listed(disk()), "declared_read_only": []},
    "ports": listed({"port": "tcp/22", "local": False, "chosen": False}),
    "clock": {"synchronized": True, "largest_error_seconds": 0.1, "services": ["chronyd"]},
    "certificates": listed({"path": "/etc/cert.pem", "not_after": NOW + 90 * DAY}),
    "journal": {"count": 3, "is_all": True, "units": []},
    "packages": {**listed(), "interrupted": False, "is_dpkg": True},
    "backup": {"at": NOW - 2 * DAY},
    "antivirus": {
        "product": "ClamAV",
        "built": NOW - DAY,
        "has_daemon": True,
        "on_disk": "27",
        "loaded": "27",
    },
}


def judged(
    limits: dict[str, Any] | None = None, earlier: object = None, offset: object = 0.0, **facts: object
) -> list[Finding]:
    answer = {
        "facts": {**copy.deepcopy(GOOD), **facts},
        "errors": {},
        "now": NOW,
        "offset_seconds": offset,
        "earlier": earlier or {},
    }
    return judge(answer, LIMITS | (limits or {}))


def of(code: str, found: list[Finding]) -> list[tuple[Any, ...]]:
    """Return (subject, severity, measured, threshold) of the findings with a code."""
    return [(f["subject"], f["severity"], f["measured"], f["threshold"]) for f in found if f["code"] == code]


def severity(code: str, **facts: object) -> str:
    found = of(code, judged(**facts))
    assert len(found) == 1
    return str(found[0][1])


def not_good(found: list[Finding]) -> list[tuple[str, str]]:
    return [(f["code"], f["severity"]) for f in found if f["severity"] != "good"]


def test_a_good_computer_has_nothing_that_is_not() -> None:
    assert not_good(judged()) == []


def test_everything_looked_at_is_told_also_when_it_is_good() -> None:
    assert {f["code"] for f in judged({"expected_ports": ["tcp/22"], "expected_units": ["a.service"]})} == {
        "unit_dead", "disk_space", "disk_inodes", "unit_failed", "port_missing", "port_unexpected", "load",
        "memory",
        "zombies", "blocked", "packages_broken", "reboot_required", "kernel", "old_code", "last_boot",
        "time_sync", "clock_offset", "certificate", "journal_errors", "backup_age", "antivirus_age",
        "antivirus_loaded",
    }  # fmt: skip


def test_findings_have_the_shape_that_evidence_wants() -> None:
    check = Check.model_validate({"kind": "computer", "facts": GOOD, "findings": judged()})
    assert len(check.findings) == len(judged())


# Disks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "expected"),
    [(84.9, "good"), (85, "warning"), (94.9, "warning"), (95, "critical"), (100, "critical")],
)
def test_disk_space(used: float, expected: str) -> None:
    assert (
        severity("disk_space", disks={**listed(disk(used, 100 - used)), "declared_read_only": []}) == expected
    )


def test_what_only_root_may_fill_is_not_free() -> None:
    found = judged(disks={**listed(disk(57, 3)), "declared_read_only": []})
    assert of("disk_space", found) == [("/", "critical", 95.0, 95)]


@pytest.mark.parametrize(
    ("left", "expected"), [(151, "good"), (150, "warning"), (51, "warning"), (50, "critical")]
)
def test_disk_inodes(left: int, expected: str) -> None:
    told = disk(inodes_free=left)
    assert severity("disk_inodes", disks={**listed(told), "declared_read_only": []}) == expected


def test_a_file_system_without_inodes_of_its_own_is_not_judged_by_them() -> None:
    found = judged(disks={**listed(disk(inodes=0, inodes_free=0)), "declared_read_only": []})
    assert of("disk_inodes", found) == []


def test_an_empty_file_system_is_not_divided_by() -> None:
    assert of("disk_space", judged(disks={**listed(disk(0, 0)), "declared_read_only": []})) == []


def test_a_disk_that_does_not_answer_is_unmeasured_and_the_others_are_told() -> None:
    dead = {"place": "/mnt/nas", "type": "nfs4", "read_only": False, "error": "no_answer"}
    found = judged(disks={**listed(dead, disk(place="/var")), "declared_read_only": []})
    assert of("disk_space", found) == [("/mnt/nas", "unmeasured", None, None), ("/var", "good", 50.0, 85)]


@pytest.mark.parametrize(
    ("kind", "declared", "expected"),
    [("ext4", [], ["critical"]), ("ext4", ["/"], []), ("tmpfs", [], []), ("nfs4", [], [])],
)
def test_a_disk_that_became_read_only(kind: str, declared: list[str], expected: list[str]) -> None:
    told = disk(type=kind, read_only=True)
    found = judged(disks={**listed(told), "declared_read_only": declared})
    assert [f[1] for f in of("disk_read_only", found)] == expected


# Forecast ---------------------------------------------------------------------------------------------


def test_a_disk_that_grows_is_full_one_day() -> None:
    earlier = [[NOW - 30 * DAY, 20 * GB], [NOW - 15 * DAY, 35 * GB]]
    assert days_until_full(50 * GB, 50 * GB, NOW, earlier) == 50


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        ([], "nothing was measured before"),
        ([[NOW - 3600, 10 * GB]], "an hour tells nothing"),
        ([[NOW - 30 * DAY, 50 * GB]], "it does not grow"),
        ([[NOW - 30 * DAY, 60 * GB]], "it shrinks"),
        ([[NOW - 30 * DAY, 50 * GB - 1]], "it takes years"),
    ],
)
def test_nothing_is_foretold_without_ground(earlier: list[list[float]], why: str) -> None:
    assert (why, days_until_full(50 * GB, 50 * GB, NOW, earlier)) == (why, None)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (31, ("good", 31)),
        (30, ("warning", 30)),
        (8, ("warning", 8)),
        (7, ("critical", 7)),
        (0, ("critical", 0)),
    ],
)
def test_how_soon_a_disk_is_full(free: int, expected: tuple[str, int]) -> None:
    # It grew by a gigabyte a day.
    found = judged(
        earlier={"/": [[NOW - 10 * DAY, 40 * GB]]},
        disks={**listed(disk(50, free)), "declared_read_only": []},
    )
    assert [f[1:3] for f in of("disk_forecast", found)] == [expected]


def test_first_run_foretells_nothing() -> None:
    assert of("disk_forecast", judged()) == []


# Everything else --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "expected"), [(3.98, "good"), (4, "warning"), (15.9, "warning"), (16, "critical")]
)
def test_load_is_per_core_and_of_a_quarter_of_an_hour(load: float, expected: str) -> None:
    assert severity("load", load={"1": 99.0, "5": 99.0, "15": load, "cores": 2}) == expected


@pytest.mark.parametrize(
    ("left", "expected"), [(101, "good"), (100, "warning"), (31, "warning"), (30, "critical")]
)
def test_memory(left: int, expected: str) -> None:
    told = {"total": 1000, "available": left, "swap_total": 0, "swap_free": 0}
    assert severity("memory", memory=told) == expected


@pytest.mark.parametrize(("left", "expected"), [(401, "good"), (400, "warning"), (100, "critical")])
def test_swap(left: int, expected: str) -> None:
    told = {"total": 1000, "available": 900, "swap_total": 1000, "swap_free": left}
    assert severity("swap", memory=told) == expected


def test_each_failed_unit_is_named() -> None:
    found = judged(units=listed("a.service", "b.mount"))
    assert of("unit_failed", found) == [
        ("a.service", "warning", None, None),
        ("b.mount", "warning", None, None),
    ]


def unit(active: str = "active", load: str = "loaded", **other: str) -> dict[str, str]:
    return {"LoadState": load, "ActiveState": active, "SubState": "x", "Type": "simple", **other}


@pytest.mark.parametrize(
    ("told", "measured"),
    [
        (unit(), None),
        (unit("activating"), None),
        (unit("inactive", TriggeredBy="x.socket"), None),
        (unit("inactive", TriggeredBy="x.socket", callers_up="yes"), None),
        (unit("inactive", TriggeredBy="x.socket", callers_up="no"), "inactive"),
        (unit("inactive", Type="oneshot", RemainAfterExit="no"), None),
        (unit("inactive", Type="oneshot", RemainAfterExit="yes"), "inactive"),
        (unit("inactive", Type="oneshot"), None),
        (unit("inactive"), "inactive"),
        (unit("failed"), "failed"),
        (unit("failed", Type="oneshot"), "failed"),
        (unit("activating", SubState="auto-restart"), "restarting"),
        (unit("inactive", "masked"), "masked"),
        (unit("inactive", "not-found"), "not_there"),
    ],
)
def test_a_unit_that_has_to_be_up_and_is_not_is_critical(told: dict[str, str], measured: str | None) -> None:
    found = judged({"expected_units": ["a.service"]}, expected_units={"a.service": told})
    expected = [("", "good", None, None)] if measured is None else [("a.service", "critical", measured, None)]
    assert of("unit_dead", found) == expected


def test_an_expected_unit_is_a_disturbance_and_its_failure_told_once() -> None:
    limits = {"expected_units": ["a.service", "b.service"]}
    units = {"a.service": unit("failed"), "b.service": unit()}
    found = judged(limits, units=listed("a.service", "c.service"), expected_units=units)
    assert of("unit_dead", found) == [("a.service", "critical", "failed", None)]
    assert of("unit_failed", found) == [("c.service", "warning", None, None)]
    assert is_disturbed("ok", {"check_host": {"kind": "computer", "facts": {}, "findings": found}})


@pytest.mark.parametrize("told", [{}, {"a.service": unit("odd")}, {"a.service": {}}, {"a.service": 3}, [], 3])
def test_an_expected_unit_that_was_not_told_of_is_unmeasured(told: object) -> None:
    found = judged({"expected_units": ["a.service"]}, expected_units=told)
    assert "unmeasured" in {severity for _, severity, _, _ in of("unit_dead", found)}


PORTS = listed(
    {"port": "tcp/22", "local": False, "chosen": False},
    {"port": "tcp/5432", "local": True, "chosen": False},
    {"port": "tcp/4444", "local": False, "chosen": False},
    {"port": "udp/40001", "local": False, "chosen": True},
)


def test_ports_are_listed_and_not_judged_unless_some_are_expected() -> None:
    assert [f for f in judged(ports=PORTS) if f["code"].startswith("port")] == []


def test_ports_against_those_expected() -> None:
    found = judged({"expected_ports": ["tcp/22", "tcp/443"]}, ports=PORTS)
    assert of("port_missing", found) == [("tcp/443", "critical", None, None)]
    assert of("port_unexpected", found) == [("tcp/4444", "warning", None, None)]


def test_a_port_that_serves_this_host_alone_may_be_expected() -> None:
    found = judged({"expected_ports": ["tcp/22", "tcp/4444", "tcp/5432"]}, ports=PORTS)
    assert not_good(found) == [("port_local", "notice")]
    assert of("port_local", found) == [("tcp/5432", "notice", None, None)]
    assert of("port_missing", found) == [("", "good", None, None)]


def test_a_port_that_others_reach_is_not_told_as_one_of_this_host_alone() -> None:
    found = judged({"expected_ports": ["tcp/22"]}, ports=PORTS)
    assert of("port_local", found) == []


UNKEPT = {"synchronized": False, "largest_error_seconds": 16.0, "services": []}


def test_a_clock_that_nobody_keeps() -> None:
    assert of("time_sync", judged(clock=UNKEPT)) == [("", "warning", "unsynchronized", None)]


def test_a_clock_that_is_kept_elsewhere_is_not_looked_at() -> None:
    assert of("time_sync", judged({"time_sync_expected": False}, clock=UNKEPT)) == []


@pytest.mark.parametrize(
    ("offset", "expected"), [(4.9, "good"), (-5.0, "warning"), (59.9, "warning"), (-60.0, "critical")]
)
def test_a_clock_that_is_off(offset: float, expected: str) -> None:
    assert [f[1:3] for f in of("clock_offset", judged(offset=offset))] == [(expected, abs(offset))]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (31.0, ("certificate", "good", 31)),
        (30.9, ("certificate", "warning", 30)),
        (8.0, ("certificate", "warning", 8)),
        (7.9, ("certificate", "critical", 7)),
        (0.1, ("certificate", "critical", 0)),
        (-0.1, ("certificate_expired", "critical", 1)),
        (-400, ("certificate_expired", "critical", 400)),
    ],
)
def test_certificates(days: float, expected: tuple[str, str, int]) -> None:
    told = judged(certificates=listed({"path": "/c.pem", "not_after": NOW + days * DAY}))
    assert [(f["code"], f["severity"], f["measured"]) for f in told if f["subject"] == "/c.pem"] == [expected]


def test_a_certificate_that_cannot_be_read_is_unmeasured() -> None:
    assert severity("certificate", certificates=listed({"path": "/c", "error": "not_there"})) == "unmeasured"


def test_last_boot_is_told_and_judged_only_when_somebody_wants_it() -> None:
    long = {"uptime_seconds": 400 * DAY, "boot_id": "b"}
    assert of("last_boot", judged(boot=long)) == [("", "good", 400, None)]
    assert of("last_boot", judged({"uptime_warning_days": 400}, boot=long)) == [("", "warning", 400, 400)]


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        ("6.1.0-18-amd64", ["6.1.0-9-amd64", "6.1.0-21-amd64"], "6.1.0-21-amd64"),
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.12.0-1-cloud-amd64"], None),
        ("6.1.0-18-amd64", [], None),
        # Debian 13 tells of itself in the version: that is no flavour.
        ("6.1.0-28-amd64", ["6.1.0-28-amd64", "6.12.48+deb13-amd64"], "6.12.48+deb13-amd64"),
        ("6.12.48+deb13-amd64", ["6.1.0-28-amd64", "6.12.48+deb13-amd64"], None),
        ("6.12.48+deb13-amd64", ["6.12.9+bpo-amd64", "6.12.57+deb13-amd64"], "6.12.57+deb13-amd64"),
        ("6.12.48+deb13-amd64", ["6.12.57+deb13-cloud-amd64"], None),
        ("6.12.27-amd64", ["6.12.48+deb13-amd64"], "6.12.48+deb13-amd64"),
        ("6.1.0-0.deb11.21-amd64", ["5.10.0-28-amd64", "6.1.0-0.deb11.7-amd64"], None),
        ("5.10.0-28-686-pae", ["5.10.0-30-686", "5.10.0-29-686-pae"], "5.10.0-29-686-pae"),
        ("5.15.0-97-generic", ["5.15.0-105-generic", "6.8.0-1011-aws"], "5.15.0-105-generic"),
        ("6.8.12-4-pve", ["6.8.12-10-pve"], "6.8.12-10-pve"),
        # A number beside letters is the newer one, as rpm has it: an update beside the kernel of the release.
        (
            "4.18.0-553.el8_10.x86_64",
            ["4.18.0-553.el8_10.x86_64", "4.18.0-553.5.1.el8_10.x86_64"],
            "4.18.0-553.5.1.el8_10.x86_64",
        ),
        (
            "4.18.0-553.5.1.el8_10.x86_64",
            ["4.18.0-553.el8_10.x86_64", "4.18.0-553.5.1.el8_10.x86_64"],
            None,
        ),
        ("4.18.0-553.el8_10", ["4.18.0-553.5.1.el8_10"], "4.18.0-553.5.1.el8_10"),
        ("5.14.0-427.el9.x86_64", ["5.14.0-427.13.1.el9_4.x86_64"], "5.14.0-427.13.1.el9_4.x86_64"),
        ("5.14.0-427.el9.x86_64", ["5.14.0-503.el9.x86_64", "5.14.0-70.el9.x86_64"], "5.14.0-503.el9.x86_64"),
        ("5.14.0-427.el9.x86_64", ["5.14.0-503.el9.x86_64+debug"], None),
        ("4.18.0-553.el8_10.x86_64", ["4.18.0-553.5.1.rt7.346.el8_10.x86_64"], None),
        ("5.15.0-205.149.5.1.el9uek.x86_64", ["5.14.0-503.el9.x86_64"], None),
        ("4.18.0-553.el8_10.x86_64", ["5.14.0-427.el9.x86_64"], "5.14.0-427.el9.x86_64"),
        # What has another shape is compared with nothing.
        ("6.1.0-28-amd64", ["6.6.30-custom", "9", "6.1.0-28-amd64.old", "9.9.9-amd64.bak"], None),
    ],
)
def test_kernel(running: str, installed: list[str], newest: str | None) -> None:
    expected = ("", "good" if newest is None else "warning", running, newest)
    assert of("kernel", judged(kernel={"running": running, "installed": installed})) == [expected]


@pytest.mark.parametrize(
    "running", ["6.6.30-custom", "6.1.0-rpi7-rpi-v8", "6.9.1-arch1-1", "x", "", "0.0-0" + ".el0" * 100_000]
)
def test_nothing_is_said_of_a_kernel_whose_release_has_no_known_shape(running: str) -> None:
    installed = ["6.6.99-custom", "6.12.48+deb13-amd64", "6.1.0-rpi8-rpi-v8"]
    assert of("kernel", judged(kernel={"running": running, "installed": installed})) == []


def test_a_reboot_that_is_required() -> None:
    assert severity("reboot_required", reboot={"required": True, "packages": ["libc6"]}) == "warning"


def test_programs_that_run_old_code_are_named() -> None:
    told = {**listed({"program": "/usr/sbin/clamd", "files": ["/usr/lib/x"]}), "hidden": 0}
    assert of("old_code", judged(old_code=told)) == [("/usr/sbin/clamd", "warning", None, None)]


def test_who_is_not_root_has_not_seen_every_program() -> None:
    found = judged(old_code={**listed(), "hidden": 7}, system={"is_root": False})
    assert of("old_code", found) == [("", "unmeasured", None, None)]


@pytest.mark.parametrize(("count", "expected"), [(49, "good"), (50, "warning"), (1000, "warning")])
def test_errors_in_the_journal(count: int, expected: str) -> None:
    assert severity("journal_errors", journal={"count": count, "is_all": True, "units": []}) == expected


def test_packages_that_are_not_whole() -> None:
    told = {
        **listed({"package": "nginx", "state": "install ok half-configured"}),
        "interrupted": True,
        "is_dpkg": True,
    }
    found = judged(packages=told)
    assert not_good(found) == [("packages_broken", "critical"), ("packages_interrupted", "critical")]


@pytest.mark.parametrize(("days", "expected"), [(34.9, "good"), (35, "warning"), (70, "critical")])
def test_age_of_the_backup(days: float, expected: str) -> None:
    assert severity("backup_age", backup={"at": NOW - days * DAY}) == expected


@pytest.mark.parametrize(("expected", "severities"), [(True, "warning"), (False, "good")])
def test_no_backup(expected: bool, severities: str) -> None:  # noqa: FBT001 - a table's column
    found = judged({"backup_expected": expected}, backup={"at": None})
    assert of("backup_missing", found) == [("", severities, None, None)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"built": NOW - 6.9 * DAY}, []),
        ({"built": NOW - 7 * DAY}, [("antivirus_age", "warning")]),
        ({"built": NOW - 30 * DAY}, [("antivirus_age", "critical")]),
        ({"built": None}, [("antivirus_age", "unmeasured")]),
        ({"loaded": "26"}, [("antivirus_loaded", "warning")]),
        ({"loaded": None}, [("antivirus_stopped", "critical")]),
        ({"loaded": None, "has_daemon": False}, []),
        ({"loaded": None, "unanswered": ""}, [("antivirus_stopped", "critical")]),
        ({"loaded": None, "unanswered": "needs_root"}, [("antivirus_loaded", "unmeasured")]),
    ],
)
def test_antivirus(changed: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert not_good(judged(antivirus={**GOOD["antivirus"], **changed})) == expected


@pytest.mark.parametrize(("expected", "severities"), [(True, "warning"), (False, "good")])
def test_no_antivirus(expected: bool, severities: str) -> None:  # noqa: FBT001 - a table's column
    found = judged({"antivirus_expected": expected}, antivirus={"product": None})
    assert of("antivirus_missing", found) == [("", severities, None, None)]


@pytest.mark.parametrize("code", ["zombies", "blocked"])
def test_processes_that_hang(code: str) -> None:
    for count, expected in (
        (LIMITS[f"{'zombie' if code == 'zombies' else code}_warning_count"], "warning"),
        (1, "good"),
    ):
        told = {**GOOD["processes"], code: listed(*["x"] * count)}
        assert severity(code, processes=told) == expected


def test_limits_of_nought_are_none() -> None:
    none = {
        name: 0 for name, value in LIMITS.items() if isinstance(value, int) and not isinstance(value, bool)
    }
    found = judged(
        none | {"load_warning_per_core": 0, "load_critical_per_core": 0},
        load={"15": 999.0, "cores": 1},
        disks={**listed(disk(100, 0, inodes_free=0)), "declared_read_only": []},
        memory={"total": 10, "available": 0, "swap_total": 10, "swap_free": 0},
        journal={"count": 10**6, "is_all": False, "units": []},
        offset=1e9,
    )
    assert not_good(found) == []


# What a host may say ----------------------------------------------------------------------------------


def test_what_the_host_could_not_tell_is_unmeasured_with_its_reason() -> None:
    answer = {
        "facts": GOOD | {},
        "errors": {"units": "systemctl is not there"},
        "now": NOW,
        "offset_seconds": 0.0,
    }
    found = judge({**answer, "earlier": {}}, LIMITS)
    assert [(f["severity"], f["why"]) for f in found if f["code"] == "unit_failed"] == [
        ("unmeasured", "systemctl is not there")
    ]


def test_what_the_host_did_not_tell_is_unmeasured() -> None:
    answer = {"facts": {}, "errors": {}, "now": NOW, "offset_seconds": 0.0, "earlier": {}}
    found = judge(answer, LIMITS | {"expected_units": ["a.service"]})
    assert {(f["severity"], f["why"]) for f in found} == {("unmeasured", "not_told")}
    assert len(found) == len(GOOD)


def test_what_did_not_fit_is_told() -> None:
    found = judged(units=listed("a.service", cut=3))
    assert [f["why"] for f in found if f["severity"] == "unmeasured"] == ["3 more were not looked at"]


@pytest.mark.parametrize("part", sorted(set(GOOD) - {"system"}))
def test_a_part_that_cannot_be_read_says_so(part: str) -> None:
    # The clock's offset is the controller's own measurement: of the system nothing is judged.
    own = {
        f["code"]
        for f in judged({"expected_ports": ["tcp/22"], "expected_units": ["a.service"]}, **{part: 3})
        if f["why"] == "unreadable"
    }
    assert len(own) == 1


HOSTILE = [
    None, True, "", "x", -1, 1e308, float("nan"), float("inf"), 10**30, [], [[]], {}, {"items": 5, "cut": 0},
    {"items": [None], "cut": 0}, {"items": [{"place": [], "port": {}, "path": 1}], "cut": "x"},
]  # fmt: skip


@pytest.mark.parametrize("part", GOOD)
@pytest.mark.parametrize("said", HOSTILE, ids=repr)
def test_a_part_of_another_form_is_unmeasured_and_spoils_no_other(part: str, said: Any) -> None:  # noqa: ANN401
    found = judged(**{part: said})
    Check.model_validate({"kind": "computer", "findings": found})
    others = {f["code"] for f in judged()} - {f["code"] for f in found}
    # What the part itself would have told is missing, and nothing else.
    assert len(others) <= 2
    bad = {f["code"] for f in found if f["severity"] in {"warning", "critical"}}
    assert bad == set() or part in {"backup", "antivirus"}


WORDS = [
    "items", "cut", "place", "used", "free", "15", "cores", "at", "built", "loaded", "count", "required",
    "program", "package", "running", "installed", "port", "path", "not_after", "hidden", "interrupted",
]  # fmt: skip


def anything(chance: random.Random, depth: int = 0) -> object:
    """Return some JSON, made mostly of words that an answer holds."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind == 6:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(3))]
    if kind == 7:
        return {chance.choice(WORDS): anything(chance, depth + 1) for _ in range(chance.randrange(4))}
    plain = (
        None,
        chance.random() < 0.5,
        chance.randrange(-5, 5),
        chance.uniform(-1e300, 1e300),
        "6.1-x",
        math.nan,
    )
    return plain[kind]


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_of_a_host_stops_the_judging(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, no secret
    for _ in range(100):
        facts = {part: anything(chance) for part in chance.sample(sorted(GOOD), 4)}
        found = judged(offset=anything(chance), **facts)
        told = Check.model_validate({"kind": "computer", "findings": found})
        json.dumps(told.model_dump(mode="json"), allow_nan=False)


def test_a_host_cannot_flood_the_findings() -> None:
    assert len(judged(units=listed(*[f"{n}.service" for n in range(5000)]))) == 1000
