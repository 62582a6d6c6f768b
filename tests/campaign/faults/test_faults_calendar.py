"""What `rawat schedule` writes, under a systemd that lives: a timer starts the run, which stops and tells."""

from __future__ import annotations

import time

import pytest
from aboard import CHECKOUT, INVENTORY, WORK, Aboard
from field import Field

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

OWN = "web1"
NAME = "rawat-contoh-uji-pulih-cadangan"
MAIL = "/srv/mail"
POST = f"""
port=$(sed -n 's/.*port: \\([0-9]*\\),.*/\\1/p' {INVENTORY}/notify.yml)
systemd-run --quiet --unit=lab-post {CHECKOUT}/.venv/bin/python -m aiosmtpd --nosetuid \
  --listen 127.0.0.1:$port --class aiosmtpd.handlers.Mailbox {MAIL}
while ! ss -Hltn sport = :$port | grep -q .; do sleep 0.2; done
"""


def mails(office: Aboard) -> list[str]:
    """Return the mails that the host's own mail server took."""
    return [path.read_text("utf-8") for path in (office.root / MAIL.lstrip("/") / "new").glob("*")]


def is_begun(office: Aboard) -> bool:
    return any((office.root / WORK.lstrip("/") / "runs").glob("*/journal.jsonl"))


def test_a_timer_starts_the_run_which_stops_at_its_first_gate_and_tells_whom_it_awaits(field: Field) -> None:
    field.fresh(OWN)
    office = Aboard(field, OWN)
    office.embark()
    field.ssh(OWN, POST)
    soon = field.ssh(OWN, "date --utc --date='45 seconds' '+%F %T UTC'").strip()
    sop = "sops/contoh-uji-pulih-cadangan.yml"
    office.rawat("schedule", sop, "-i", INVENTORY, "--every", soon, "-o", "/srv/units")
    timers = f"{NAME}.timer rawat-remind.timer"
    field.ssh(OWN, f"cp /srv/units/rawat-* /etc/systemd/system/ && systemctl enable --now {timers}")
    before = is_begun(office)
    deadline = time.monotonic() + 300
    while not is_begun(office):
        assert time.monotonic() < deadline, field.ssh(
            OWN, f"systemctl status {NAME}.timer {NAME}", check=False
        )
        time.sleep(0.5)
    office.await_record(event="gate_opened", step=2)
    while field.ssh(OWN, f"systemctl is-active {NAME}.service", check=False).strip() == "activating":
        assert time.monotonic() < deadline
        time.sleep(0.5)

    assert before is False
    told = field.ssh(OWN, f"systemctl show {NAME}.service --property=Result,ExecMainStatus,MainPID")
    assert set(told.split()) == {"Result=success", "ExecMainStatus=3", "MainPID=0"}
    assert [letter.count("\nTo: kabid@lab.example\n") for letter in mails(office)] == [1]

    # The month after, with the run still open: refused, and said where an administrator looks.
    field.ssh(OWN, f"systemctl start {NAME}.service", check=False)
    assert "Result=exit-code" in field.ssh(OWN, f"systemctl show {NAME}.service --property=Result")
    assert "in common with this one; nothing was begun" in field.ssh(
        OWN, f"journalctl --no-pager --unit={NAME}.service"
    )
    assert len([e for e in office.journal() if e["event"] == "run_started"]) == 1

    # Who was told is not told again.
    field.ssh(OWN, "systemctl start rawat-remind.service")
    assert "Result=success" in field.ssh(OWN, "systemctl show rawat-remind.service --property=Result")
    assert len(mails(office)) == 1
