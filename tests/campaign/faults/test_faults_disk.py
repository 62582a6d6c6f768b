"""Row 9 and a part of row 18: a host's disk is full before the gate, at the change, at the rollback."""

from __future__ import annotations

import pytest
from field import OLD, Field, Figure, Results

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

FILL = "dd if=/dev/zero of={place}/fill bs=1k status=none || true"


def small_disk(field: Field, host: str, place: str, kilobytes: int) -> None:
    """Put what lies at a place onto a disk of its own, so small that only so much is free on it."""
    field.ssh(
        host,
        f"set -e; mkdir -p {place}; used=$(du -sk {place} | cut -f1); cp -a {place} /run/kept;"
        f" mount -t tmpfs -o size=$((used + used / 4 + {kilobytes}))k tmpfs {place};"
        f" cp -a /run/kept/. {place}/; rm -r /run/kept",
    )


def states(field: Field, host: str) -> str:
    """Return the lab's packages as the host itself sees them: its small disks are not seen from outside."""
    return field.ssh(
        host, "dpkg-query --show --showformat='${Package} ${Version} ${db:Status-Abbrev}\\n' 'lab-*'"
    )


@pytest.mark.parametrize(
    "place", ["/var/cache/apt/archives", "/var/lib/dpkg", "/usr/share/doc", "/usr/lib/python3"]
)
def test_too_little_room_is_refused_before_the_gate(field: Field, figure: Figure, place: str) -> None:
    """The host is not in the plan, and there stands how much is needed, how much is free, and where."""
    field.fresh("web1")
    small_disk(field, "web1", place, 4000)

    plan, _ = field.make_plan("web1", "db1")

    watched = place in {"/var/cache/apt/archives", "/var/lib/dpkg"}
    figure(9, place=place, refused="web1" in plan["not_planned"])
    assert "db1" in plan["hosts"]
    assert ("web1" in plan["not_planned"]) is watched
    if watched:
        assert "Too little room" in plan["not_planned"]["web1"]
        assert f"{place}: " in plan["not_planned"]["web1"]
        assert "MB needed" in plan["not_planned"]["web1"]
        assert "MB free" in plan["not_planned"]["web1"]


@pytest.mark.parametrize(
    "place",
    [
        "/var/lib/rawat",
        "/var/cache/apt/archives",
        "/var/lib/dpkg",
        "/usr/lib/lab-good",
        "/usr/share/doc",
        "/var/log",
    ],
)
def test_disk_that_fills_after_the_gate_is_refused_or_rolled_back(
    field: Field, figure: Figure, place: str
) -> None:
    """Whatever was done is undone, or nothing was done; never a success that is none."""
    field.fresh("web1")
    _, path = field.make_plan("web1")
    before = states(field, "web1")
    small_disk(field, "web1", place, 40)
    field.ssh("web1", FILL.format(place=place))

    applied = field.apply(path, "web1")["web1"]
    after = states(field, "web1")
    full = field.roll_back(path, "web1")["web1"]
    field.ssh("web1", f"rm {place}/fill")
    freed = field.roll_back(path, "web1")["web1"]
    left = states(field, "web1")

    what = "refused" if after == before else "rolled back"
    if applied.status == "ok":
        what = "done all the same"
        assert OLD + " " not in after
    else:
        assert applied.failure
        assert applied.failure.message
    # With the disk still full the rollback may fail, and then says that it needs a person.
    if full.status != "ok":
        assert full.failure
        what += ", rollback needed a person until there was room"
    assert freed.status == "ok", freed.failure
    assert left == before
    assert field.ssh("web1", "dpkg --audit") == ""
    figure(9, place=place, outcome=what)


def test_rollback_on_a_full_disk_needs_a_person(field: Field, figure: Figure) -> None:
    """Row 18: never told as rolled back; once there is room it is."""
    field.fresh("web1")
    plan, path = field.make_plan("web1")
    before = states(field, "web1")
    assert field.apply(path, "web1")["web1"].status == "ok"
    small_disk(field, "web1", "/var/lib/dpkg", 40)
    field.ssh("web1", FILL.format(place="/var/lib/dpkg"))

    failed: Results = field.roll_back(path, "web1")
    field.ssh("web1", "rm /var/lib/dpkg/fill")
    healed = field.roll_back(path, "web1")

    figure(18, updates=len(plan["hosts"]["web1"]["updates"]), told=failed["web1"].status)
    assert failed["web1"].status == "failed"
    assert failed["web1"].failure
    assert "needs a person" in failed["web1"].failure.message
    assert healed["web1"].status == "ok"
    assert states(field, "web1") == before
