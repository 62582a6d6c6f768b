"""Printers: a real one of CUPS' making (ippeveprinter), good, and with each fault that it can show."""

from __future__ import annotations

from typing import Any

import pytest
from office_services import await_port, start, stop
from service_field import Office, found, not_good

from lab import faults

pytestmark = pytest.mark.campaign
_NO_PAPER = "media?size1=3&type1=0&level1=0&size3=3&type3=0&level3=0"


@pytest.fixture(name="printer")
def _printer(office: Office) -> dict[str, Any]:
    """Start a printer, and return what the office says of it."""
    host = office.host("svc1")
    host.check_output("systemctl start dbus avahi-daemon")
    formats = "application/pdf,image/jpeg,image/pwg-raster"
    start(host, "lab-printer", f"ippeveprinter -p 631 -k -d /tmp -f {formats} -M SOP -m LabJet LabPrinter")
    await_port(host, 631)
    return {"ansible_host": office.address("svc1"), "check_printer_timeout": 6}


def press(office: Office, form: str) -> None:
    """Fill in a form of the printer's own web page."""
    office.host("svc1").check_output(f"curl --fail --silent --output /dev/null 'http://127.0.0.1:631/{form}'")


def test_a_good_one(office: Office, printer: dict[str, Any]) -> None:
    check = office.check("check_printer", printer)
    assert not_good(check) == {}
    levels = {f.subject: f.measured for f in check.findings if f.code in {"printer_supply", "printer_waste"}}
    assert levels == {"Black Toner (LabPrinter)": 75, "Toner Waste Tank (LabPrinter)": 25}


def test_toner_that_ends_and_waste_that_is_full(office: Office, printer: dict[str, Any]) -> None:
    press(office, "supplies?supply0=99&supply1=2")
    check = office.check("check_printer", printer)
    assert found(check, "printer_supply").severity == "critical"
    assert found(check, "printer_waste").severity == "critical"
    reasons = {f.measured: f.severity for f in check.findings if f.code == "printer_reason"}
    assert reasons == {"toner-low": "warning", "marker-waste-almost-full": "warning"}


def test_no_paper(office: Office, printer: dict[str, Any]) -> None:
    press(office, _NO_PAPER)
    assert not_good(office.check("check_printer", printer)) == {"printer_reason": "critical"}


def test_a_queue_that_is_too_long(office: Office, printer: dict[str, Any]) -> None:
    told = office.check("check_printer", printer | {"check_printer_queue_warning_count": 0})
    assert not_good(told) == {"printer_queue": "warning"}


def test_a_printer_that_is_off_one_that_hangs_and_a_wrong_queue(
    office: Office, printer: dict[str, Any]
) -> None:
    wrong = printer | {"check_printer_uri": f"ipp://{office.address('svc1')}:631/ipp/salah"}
    assert found(office.check("check_printer", wrong), "printer_reachable").measured == "not understood"
    office.host("svc1").check_output("systemctl kill --signal STOP lab-printer")
    assert found(office.check("check_printer", printer), "printer_reachable").measured == "timeout"
    office.host("svc1").check_output("systemctl kill --signal CONT lab-printer")
    stop(office.host("svc1"), "lab-printer")
    assert found(office.check("check_printer", printer), "printer_reachable").measured == "refused"
    faults.cut_cable(office.lab, office.lab.host("svc1"))
    told = found(office.check("check_printer", printer), "printer_reachable").measured
    assert told in {"timeout", "no way there"}


def test_one_that_is_off_does_not_stop_the_others(office: Office, printer: dict[str, Any]) -> None:
    dead = printer | {"check_printer_uri": f"ipp://{office.address('svc2')}:631/ipp/print"}
    wrong = printer | {"check_printer_uri": "lpd://x/"}
    played = office.play("check_printer", {"mati": dead, "salah": wrong, "baik": printer}, "check-hosts.yml")
    told = {
        name: played.evidence[name]["check_printer"]["findings"][0]["severity"] for name in ("mati", "baik")
    }
    assert (told, list(played.failures)) == ({"mati": "critical", "baik": "good"}, ["salah"])
