"""The line out of the office, with a lab host for its far end: good, lossy, slow, cut, and without names."""

from __future__ import annotations

from typing import Any

import pytest
from office_services import SITE, start_names, stop
from service_field import Office, found, not_good

from lab import faults

pytestmark = pytest.mark.campaign


@pytest.fixture(name="line")
def _line(office: Office) -> dict[str, Any]:
    """Answer for a name on the far end, and return what the office says of the line."""
    address = office.address("svc1")
    start_names(office.host("svc1"), (f"host-record={SITE},{address}",))
    return {
        "check_internet_link_targets": [address],
        "check_internet_link_names": [SITE],
        "check_internet_link_resolver": address,
    }


def test_a_good_one(office: Office, line: dict[str, Any]) -> None:
    check = office.check("check_internet_link", line)
    assert (not_good(check), found(check, "link_loss").measured) == ({}, 0.0)


@pytest.mark.parametrize(("percent", "severities"), [(15, {"warning", "critical"}), (60, {"critical"})])
def test_loss(office: Office, line: dict[str, Any], percent: int, severities: set[str]) -> None:
    """So many are lost on either way; 100 echoes tell it apart from chance."""
    faults.drop_packets(office.lab, office.lab.host("svc1"), percent)
    more = {"check_internet_link_count": 100, "check_internet_link_names": []}
    assert found(office.check("check_internet_link", line | more), "link_loss").severity in severities


def test_a_cut_line(office: Office, line: dict[str, Any]) -> None:
    faults.cut_cable(office.lab, office.lab.host("svc1"))
    check = office.check("check_internet_link", line)
    told = {f.code: (f.severity, f.measured) for f in check.findings}
    assert told == {
        "link_loss": ("critical", 100.0),
        "link_latency": ("unmeasured", None),
        "link_names": ("critical", "no answer"),
    }


def test_a_slow_one(office: Office, line: dict[str, Any]) -> None:
    """What an echo takes here is under a millisecond: so much is asked for that it is too long."""
    more = {"check_internet_link_latency_warning_milliseconds": 0}
    assert not_good(office.check("check_internet_link", line | more)) == {"link_latency": "warning"}


def test_names(office: Office, line: dict[str, Any]) -> None:
    unknown = line | {"check_internet_link_names": ["hilang.contoh.go.id"]}
    assert found(office.check("check_internet_link", unknown), "link_names").measured == "no such name"
    stop(office.host("svc1"), "lab-nama")
    assert found(office.check("check_internet_link", line), "link_names").measured == "no answer"
