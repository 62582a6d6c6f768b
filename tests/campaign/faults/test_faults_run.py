"""Whole runs: a host vanishes in the middle of the change (12), the mirror moves after the gates (21, 26)."""

from __future__ import annotations

import json

import pytest
from field import LAB, Field, Figure
from unattended import SOP, Unattended

from lab import driver, faults

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(3000)]


def to_the_order(office: Unattended) -> None:
    """Decide at the two gates before the change."""
    office.rawat("decide", "--outcome", "sesuai", "--official", "analis")
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "diperintahkan", "--official", "kabid")


def test_run_whose_hosts_differ_from_the_plan_goes_back_to_the_gate(field: Field, figure: Figure) -> None:
    """A newer version comes out, somebody patches by hand: nothing is done before it is decided anew."""
    field.fresh("db1", "file1")
    office = Unattended(field.folder)
    office.rawat("run", SOP, "-i", str(field.inventory), "--limit", "db1,file1", expect=3)
    to_the_order(office)
    driver.publish(LAB, "lab-good", "1.0-1+deb12u70")
    field.ssh(
        "file1", "export DEBIAN_FRONTEND=noninteractive; apt-get update -q; apt-get install -y -q lab-tool"
    )
    before = {host: len(field.upgrades(host)) for host in ("db1", "file1")}

    office.rawat("resume", expect=3)

    again = json.loads(office.rawat("status", "--json"))
    installed_before_the_gate = sum(len(field.upgrades(host)) - count for host, count in before.items())
    drifted = [event for event in office.journal() if event["event"] == "plan_drifted"]
    to_the_order(office)
    office.rawat("resume", expect=3)
    newest = max(office.runs.glob("*/plans/*.json"), key=lambda path: path.stat().st_mtime)
    plan = json.loads(newest.read_bytes())
    unapproved = [
        change
        for host, count in before.items()
        for change in field.upgrades(host)[count:]
        if change not in [f"{u['package']} {u['from']} {u['to']}" for u in plan["hosts"][host]["updates"]]
    ]
    figure(
        21,
        gates_opened_again=len(drifted),
        installed_before_the_gate=installed_before_the_gate,
        unapproved=len(unapproved),
    )
    assert (again["state"], again["row"]) == ("waiting", 3)
    assert len(drifted) == 1
    assert installed_before_the_gate == 0
    assert unapproved == []
    assert field.is_updated("db1", plan)


def test_run_tells_the_truth_about_a_host_that_vanished(field: Field, figure: Figure) -> None:
    """Unknown in every row after it, in the report too; the others are done, and nothing was done twice."""
    field.fresh("db1", "file1")
    office = Unattended(field.folder)
    office.rawat("run", SOP, "-i", str(field.inventory), "--limit", "db1,file1", expect=3)
    to_the_order(office)
    field.slow_scripts("db1", 5)

    with office.start("resume") as runner:
        field.await_file("db1", "/var/in-postinst", seconds=300)
        faults.cut_cable(field.lab, field.place("db1"))
        said, _ = runner.communicate(timeout=1800)
    assert runner.returncode == 3, said[-3000:]
    office.rawat("decide", "--outcome", "disaksikan", "--official", "analis")
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "sesuai", "--official", "pranata")
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "ditetapkan", "--official", "kabid")
    office.rawat("resume")
    faults.mend(field.lab, field.place("db1"))

    journal = office.journal()
    told = {
        f"{event['step']}/{event['part']}": event["hosts"]["db1"]
        for event in journal
        if event["event"] == "action_finished"
        and event["step"] in {7, 8}
        and "db1" in event["hosts"]
        # The look before the wave was made while the host was still there.
        and event["kind"] != "reprobe"
    }
    (report,) = office.bag.rglob("*-laporan-hasil-update-ratified.json")
    states = {host["host"]: host["state"] for host in json.loads(report.read_bytes())["hosts"]}
    made = field.upgrades("db1")
    figure(
        12, whole_run="db1 vanished", told=told, report=states, changes_made_twice=len(made) - len(set(made))
    )
    office.rawat("verify", str(office.bag))
    assert told["7/1"] == "unknown"
    assert "ok" not in told.values()
    assert states == {"db1": "unknown", "file1": "updated"}
    assert len(made) == len(set(made))
