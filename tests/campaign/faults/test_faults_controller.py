"""The host that runs Rawat is maintained by it: its own reboot (5), its power cut at bad moments (1, 4)."""

from __future__ import annotations

import time

import pytest
from aboard import Aboard
from field import Field, Figure

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

OWN = "db1"  # its update asks for a reboot
OTHER = "file1"


def times_of(field: Field, host: str) -> list[str]:
    """Return when each upgrade of a host was done, by dpkg's log."""
    log = field.disk(host, "/var/log/dpkg.log").read_text("utf-8").splitlines()
    return [line[:19] for line in log if " upgrade " in line]


def doubled(field: Field, *hosts: str) -> int:
    """Return how many package changes were done more than once."""
    changes = [(host, change) for host in hosts for change in field.upgrades(host)]
    return len(changes) - len(set(changes))


def test_run_survives_the_reboots_of_the_machine_that_it_runs_on(field: Field, figure: Figure) -> None:
    """Row 5: rebooted at a gate, and rebooted by the run itself; the other host was updated before it."""
    field.fresh(OWN, OTHER)
    office = Aboard(field, OWN)
    office.embark()
    began = time.monotonic()
    boots = [office.boot()]

    # At a gate, which holds no process.
    office.rawat(
        "run",
        "sops/surakarta-system-update.yml",
        "-i",
        "/srv/inventory",
        "--limit",
        f"{OWN},{OTHER}",
        expect=3,
    )
    awaited = office.status()["awaited"]
    field.ssh(OWN, "systemctl reboot", check=False)
    boots.append(office.await_boot(boots[-1]))
    assert office.status()["awaited"] == awaited
    office.decide("sesuai", "analis")
    office.rawat("resume", expect=3)
    office.decide("diperintahkan", "kabid")

    # By the run itself.
    shown = office.rawat("resume", expect=3)
    asked = office.journal()[-1]
    boots.append(office.await_boot(boots[-1]))
    assert "restarts now; then go on with:  rawat resume" in shown
    assert (asked["event"], asked["kind"], asked["hosts"], asked["boot"]) == (
        "action_started",
        "reboot",
        [OWN],
        boots[1],
    )
    assert office.journal()[-1] == asked
    assert "this machine has restarted; 'rawat resume' goes on" in office.rawat("status")
    office.rawat("resume", expect=3)
    office.finish()

    told = office.evidence("2-reboot")["reboot_host"]
    assert (told["rebooted"], told["boot_id_before"], told["boot_id_after"]) == (True, boots[1], boots[2])
    events = office.journal()
    assert events[-1]["event"] == "run_finished"
    waves = [
        e["hosts"]
        for e in events
        if e["event"] == "action_started" and e["kind"] == "playbook" and e["changes"]
    ]
    assert waves == [[OTHER], [OWN]]
    assert max(times_of(field, OTHER)) <= min(times_of(field, OWN))
    rows = {row["row"]: row for row in office.status()["rows"]}
    assert (rows[3]["reboots"], rows[7]["reboots"]) == (1, 1)
    office.rawat("verify", str(events[0]["run"]))
    figure(
        5,
        reboots=len(set(boots)) - 1,
        gates_as_before=1,
        doubled=doubled(field, OWN, OTHER),
        seconds=round(time.monotonic() - began),
    )
    assert doubled(field, OWN, OTHER) == 0
    assert field.upgrades(OWN)


@pytest.mark.parametrize(
    ("moment", "later"),
    [
        ({"part": "2", "event": "action_started"}, 4.0),
        ({"part": "2-reboot"}, 0.0),
        ({"part": "2-reboot"}, 5.0),
    ],
    ids=["amid its own change", "the restart announced", "the restart asked for"],
)
def test_power_cut_of_the_machine_that_rawat_runs_on(
    field: Field, figure: Figure, moment: dict[str, object], later: float
) -> None:
    """Rows 1 and 4 at once: runner and host are the same machine, and die together."""
    field.fresh(OWN, OTHER)
    office = Aboard(field, OWN)
    office.embark()
    office.order(OWN, OTHER)

    with office.start("resume") as child:
        office.await_record(step=7, **moment)
        time.sleep(later)
        field.cut_power(OWN)
        child.kill()
        child.stdout and child.stdout.close()
    tries = 0
    while office.status()["state"] == "open":
        tries += 1
        assert tries < 6, office.journal()[-3:]
        boot = office.boot()
        code, shown = office.try_rawat("resume")
        assert code == 3, shown[-3000:]
        if "restarts now" in shown:
            office.await_boot(boot)
    office.finish()

    told = office.evidence("2-reboot")["reboot_host"]
    figure(5, power_cuts=1, resumed=tries, doubled=doubled(field, OWN, OTHER))
    assert told["boot_id_after"] == office.boot()
    assert doubled(field, OWN, OTHER) == 0
    assert field.upgrades(OWN)
