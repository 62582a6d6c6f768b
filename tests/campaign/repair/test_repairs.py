"""Each known disturbance, planted for real: seen, proposed, cured when approved and allowed, and proven."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from office_services import certificate
from played import ONLY_THE_LOCK
from repair_field import Site, only, outcomes

from runner.repairs import DISTURBANCES

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

RENEW = """\
#!/bin/sh
echo renewed >> /srv/renewals
sleep "${1:-0}"
exec openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=contoh -days 90 -keyout /srv/k.pem -out /srv/c.pem
"""
# Everything that a look or a check must leave as it is.
STATE = """\
find /etc /srv /var/log /var/cache/apt /var/lib/dpkg -xdev -type f -printf '%p %s %T@\\n' | sort | md5sum
stat --format='%n %A %U' /etc/group.lock /var/lib/rawat 2>/dev/null || true
dpkg-query -W -f '${Package} ${Status}\\n' | md5sum
systemctl list-units --type=service --all --plain --no-legend 'lab-*' | cut -d' ' -f1-4
"""
SYNC = """\
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


def plant_all(site: Site) -> None:
    """Plant each of the six."""
    site.put("/srv/c.pem", certificate(days=-30).site)
    site.put("/usr/local/sbin/renew", RENEW.encode(), "0755")
    site.put("/etc/systemd/system/lab-sync.service", SYNC.encode())
    site.sh(
        "mount -t tmpfs -o size=2m none /var/log; cd /var/log\n"
        "head -c 1000 /dev/zero > syslog; head -c 2030000 /dev/zero > syslog.1\n"
        "touch -d '30 days ago' syslog.1\n"
        ": > /etc/group.lock; ! groupadd lab-before\n"
        "cd /tmp; apt-get update -q > /dev/null; apt-get download -q lab-good > /dev/null 2>&1\n"
        "dpkg --unpack lab-good_*.deb\n"
        "systemctl daemon-reload; systemctl stop lab-sick\n"
    )
    site.expect(
        expected_units=["lab-sick.service", "ssh.service"],
        time_service="lab-sync.service",
        certificates=[{"path": "/srv/c.pem", "hook": ["/usr/local/sbin/renew"]}],
    )


def test_all_six_are_seen_proposed_cured_and_proven_and_a_second_run_changes_nothing(site: Site) -> None:
    plant_all(site)
    before = site.sh(STATE)
    found = site.propose()
    assert [entry.code for entry in found.repairs] == list(DISTURBANCES)
    assert (found.unmeasured, found.not_here) == ((), ())
    assert site.sh(STATE) == before

    tried = site.repair(check=True)
    assert (set(outcomes(tried).values()), tried.outcome) == (
        {"not done (check mode)"},
        "not repaired (check mode)",
    )
    assert (site.failure, site.sh(STATE)) == ("", before)

    refused = site.repair(cures=[])
    assert set(outcomes(refused).values()) == {"not allowed"}
    assert len(refused.repairs) == len(DISTURBANCES)
    assert site.sh("cat /srv/renewals 2>/dev/null || true; ls /etc/group.lock") == "/etc/group.lock"

    done = site.repair()
    assert (set(outcomes(done).values()), done.outcome, site.failure) == ({"done"}, "repaired", "")
    assert done.repairs == ()
    assert {cure.code: cure.proof for cure in done.cures}["unit_dead"]["state"] == "active"
    assert (
        site.sh("groupadd lab-after; ls /var/log; dpkg --audit; cat /srv/renewals")
        == "dpkg.log\nsyslog\nrenewed"
    )
    assert site.sh("systemctl is-active lab-sick lab-sync lab-good; systemctl is-enabled lab-sync") == (
        "active\nactive\nactive\nenabled"
    )
    assert (
        site.sh("systemctl list-units 'rawat-*' --all --no-legend; find /var/lib/rawat/lock.json || true")
        == ""
    )

    after = site.sh(STATE)
    again = site.repair()
    assert (set(outcomes(again).values()), site.changes) == ({"not needed"}, ONLY_THE_LOCK)
    assert site.sh(STATE) == after


# Disks --------------------------------------------------------------------------------------------------

FILL = """\
mkdir -p /srv/away/app; echo keep > /srv/away/app/app.log.1; echo log > /srv/away/app/app.log
touch -d '40 days ago' /srv/away/app/app.log.1
mount -t tmpfs -o size={size}m none /var/log; cd /var/log
install -d -o nobody app; echo now > app/app.log; echo log > syslog; echo l > auth.log
for name in app/app.log.1 syslog.1 syslog.2.gz auth.log.1 data.sql; do
  head -c 400000 /dev/zero > $name; touch -d '30 days ago' $name
done
# What somebody who may write there would plant.
ln -s /srv/away/app linked; ln -s /srv/away/app/app.log.1 syslog.3; ln -s /etc/shadow app/app.log.4
install -o nobody -d app/deep; echo x > app/deep/x; ln -s /etc/hosts app/deep/x.1; mkfifo app/app.log.5
printf x > "$(printf 'evil\\nname.1')"; printf x > "$(printf 'evil\\nname')"; touch -- '-rf.1' '-rf'
"""


def test_logs_go_and_nothing_behind_a_hostile_link(site: Site) -> None:
    site.sh(FILL.format(size=2))
    site.expect(disk_percent=90)
    guarded = site.sh("ls -laR /srv/away; md5sum /srv/away/app/* /etc/shadow /etc/hosts")
    found = site.propose()
    assert [(entry.subject, entry.cure) for entry in found.repairs] == [("/var/log", "remove_rotated_logs")]
    listed = sorted(file.path for file in found.repairs[0].does.files)
    assert listed == ["/var/log/app/app.log.1", "/var/log/syslog.1", "/var/log/syslog.2.gz"]

    # Between the decision and the cure the folder becomes a link, and a log grows.
    site.sh("cd /var/log; mv app aside; ln -s /srv/away/app app; echo more >> syslog.2.gz")
    site.sh("touch -d '30 days ago' /srv/away/app/app.log.1; truncate -s 400000 /srv/away/app/app.log.1")
    guarded = site.sh("ls -laR /srv/away; md5sum /srv/away/app/* /etc/shadow /etc/hosts")
    done = site.repair()
    assert only(done).outcome == "done"
    assert site.sh("ls -laR /srv/away; md5sum /srv/away/app/* /etc/shadow /etc/hosts") == guarded
    stay = ["aside/app.log.1", "auth.log.1", "data.sql", "linked", "syslog.2.gz", "syslog.3"]
    assert site.sh(f"cd /var/log; ls -d {' '.join(stay)}").split() == stay
    assert not site.host.file("/var/log/syslog.1").exists


def test_too_little_to_free_is_told_and_the_host_is_not_well(site: Site) -> None:
    site.sh("mount -t tmpfs -o size=2m none /var/log; cd /var/log; echo log > syslog; echo old > syslog.1")
    site.sh("touch -d '30 days ago' /var/log/syslog.1; head -c 2040000 /dev/zero > /var/log/mail.mbox")
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["remove_rotated_logs"]
    done = site.repair()
    assert (only(done).outcome, only(done).reason) == ("failed", "not_enough")
    assert "disk_full /var/log" in site.failure
    assert site.host.file("/var/log/mail.mbox").size == 2040000

    found = site.propose()
    assert [(entry.cure, entry.reason) for entry in found.repairs] == [("", "nothing_to_free")]


def test_package_files_go_first_and_what_is_then_not_needed_stays(site: Site) -> None:
    site.sh(
        "mount -t tmpfs -o size=3m none /var/cache/apt/archives; cd /var/cache/apt/archives; mkdir partial\n"
        "head -c 2000000 /dev/zero > a_1_all.deb; head -c 1000000 /dev/zero > partial/b_1_all.deb; touch lock"
    )
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["clean_package_cache"]
    done = site.repair()
    assert (only(done).outcome, only(done).freed_bytes > 2_900_000) == ("done", True)
    assert site.sh("find /var/cache/apt/archives -type f") == "/var/cache/apt/archives/lock"


def test_the_journal_is_made_smaller_by_systemd_and_logs_are_left_when_that_is_enough(site: Site) -> None:
    site.sh(
        "mount -t tmpfs -o size=64m none /var/log; mkdir /var/log/journal; cd /var/log\n"
        "rm /etc/systemd/journald.conf.d/rawat-lab.conf\n"
        "printf '[Journal]\\nStorage=persistent\\nSystemMaxUse=60M\\nSystemMaxFileSize=8M\\n"
        "SystemKeepFree=1M\\nRateLimitBurst=0\\n' > /etc/systemd/journald.conf\n"
        "systemctl restart systemd-journald; journalctl --flush\n"
        "for n in 1 2 3; do\n"
        "head -c 6000000 /dev/urandom | base64 -w 500 | systemd-cat; journalctl --rotate; done\n"
        "echo log > syslog; head -c 100000 /dev/zero > syslog.1; touch -d '30 days ago' syslog.1\n"
        "journalctl --sync; free=$(df -k --output=avail /var/log | tail -1)\n"
        "head -c $(( (free - 1000) * 1024 )) /dev/zero > ballast"
    )
    site.expect(journal_keep_megabytes=16)
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["vacuum_journal", "remove_rotated_logs"]
    done = site.repair()
    assert outcomes(done) == {"vacuum_journal": "done", "remove_rotated_logs": "not needed"}
    assert "Vacuuming done" in done.cures[0].log_tail
    assert site.host.file("/var/log/syslog.1").exists


def test_a_disk_without_a_free_block_is_repaired_from_the_reserve(site: Site) -> None:
    """One disk for logs and for what is noted: what an earlier change left in reserve makes it possible."""
    site.sh(
        "mount -t tmpfs -o size=24m none /srv; mkdir /srv/log /srv/rawat /var/lib/rawat\n"
        "mount --bind /srv/log /var/log; mount --bind /srv/rawat /var/lib/rawat; cd /var/log\n"
        "echo log > syslog; head -c 1000000 /dev/zero > syslog.1; touch -d '30 days ago' syslog.1\n"
    )
    site.expect(disk_percent=96)
    site.sh("head -c 30000000 /dev/zero > /srv/ballast || true")
    site.propose()
    with pytest.raises(AssertionError, match="PLAY RECAP"):
        site.repair()
    said = "The lock could not be noted down in /var/lib/rawat (No space left on device); nothing was done"
    assert said in site.failure
    assert site.host.file("/var/log/syslog.1").exists

    site.sh("rm /srv/ballast")
    assert site.repair(cures=[]).family == "debian"
    site.sh("head -c 30000000 /dev/zero > /srv/ballast || true; [ $(df --output=avail /srv | tail -1) = 0 ]")
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["remove_rotated_logs"]
    done = site.repair()
    assert (only(done).outcome, site.failure, only(done).freed_bytes) == ("done", "", 1_003_520)
    assert site.host.file("/var/log/syslog.1").exists is False


# Packages and locks -------------------------------------------------------------------------------------


def test_dpkg_cut_short_in_its_work_is_finished(site: Site) -> None:
    """Killed until its own journal is left behind, which makes apt refuse all work."""
    site.sh("apt-get update -q > /dev/null; cd /tmp; apt-get download -q lab-good lab-tool > /dev/null 2>&1")
    site.sh(
        "cd /tmp; for n in $(seq 200); do (sleep 0.$(( n % 70 + 10 )); pkill -KILL -x dpkg) & "
        "dpkg --install lab-*.deb > /dev/null 2>&1 || true; wait; "
        "ls /var/lib/dpkg/updates | grep -q '^[0-9]' && exit 0; done; exit 1"
    )
    refused = site.host.run("apt-get install -y lab-nothing")
    assert "dpkg was interrupted" in refused.stderr
    found = site.propose()
    damaged = [entry for entry in found.repairs if entry.reason == "package_damaged"]
    assert found.repairs[0].cure == "configure_packages"
    assert found.repairs[0].found["interrupted"] is True
    done = site.repair()
    assert outcomes(done)["configure_packages"] == "done"
    assert site.sh("ls /var/lib/dpkg/updates") == ""
    # What was killed while it was unpacked has to be installed again: told, and the host is not well.
    assert bool(site.failure) == bool(damaged)


UNPACK = """\
apt-get update -q > /dev/null; cd /tmp; apt-get download -q lab-good > /dev/null 2>&1
dpkg --unpack lab-good_*
"""
BROKEN = """\
mkdir -p /tmp/b/DEBIAN; printf '%s\\n' 'Package: lab-broken' 'Version: 1' 'Architecture: all' \\
  'Maintainer: Lab <lab@example.invalid>' 'Description: fails' > /tmp/b/DEBIAN/control
printf '#!/bin/sh\\necho it will not do\\nexit 3\\n' > /tmp/b/DEBIAN/postinst
chmod 755 /tmp/b/DEBIAN/postinst
dpkg-deb --build /tmp/b /tmp/broken.deb > /dev/null; dpkg --unpack /tmp/broken.deb > /dev/null
"""


def test_a_package_that_cannot_be_finished_is_told_with_its_own_words(site: Site) -> None:
    site.sh(BROKEN)
    site.propose()
    done = site.repair()
    assert (only(done).outcome, only(done).reason) == ("failed", "still_there")
    assert "it will not do" in only(done).log_tail
    assert site.sh("dpkg-query -W -f '${db:Status-Abbrev}' lab-broken").strip() in {"iF", "iU"}


def test_a_package_left_unfinished_after_the_decision_is_not_finished_with_it(site: Site) -> None:
    site.sh(UNPACK)
    site.propose()
    site.sh(BROKEN)
    done = site.repair()
    assert (only(done).reason, only(done).detail) == ("not_as_approved", "lab-broken")
    assert site.sh("dpkg-query -W -f '${db:Status-Abbrev}' lab-good").strip() == "iU"


HOLD = (
    "systemd-run --quiet --unit=holder python3 -c \"import fcntl,time; f=open('{lock}','w');"
    ' fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(900)"; sleep 1'
)


@pytest.mark.parametrize("lock", ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"])
def test_a_lock_that_a_living_process_holds_is_waited_for_named_and_kept(site: Site, lock: str) -> None:
    site.sh(UNPACK)
    site.sh(HOLD.format(lock=lock))
    holder = site.sh("systemctl show holder --property=MainPID --value")
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["configure_packages"]
    site.expect(lock_timeout=3)
    done = site.repair()
    assert (only(done).reason, only(done).detail) == ("package_manager_busy", f"process {holder} (python3)")
    assert site.sh("systemctl is-active holder") == "active"
    assert site.host.file(lock).exists

    site.sh("systemctl stop holder")
    assert only(site.repair()).outcome == "done"
    # The files stay: they are no locks by themselves, and apt is well with them.
    assert site.host.file(lock).exists
    assert site.sh("apt-get check > /dev/null; echo well") == "well"


def test_a_lock_of_a_living_account_tool_is_left_alone(site: Site) -> None:
    site.sh(
        "systemd-run --quiet --unit=holder sh -c 'exec sleep 900'; sleep 0.5\n"
        "systemctl show holder --property=MainPID --value | tr -d '\\n' > /etc/passwd.lock"
    )
    found = site.propose()
    assert [(entry.subject, entry.cure, entry.reason) for entry in found.repairs] == [
        ("/etc/passwd.lock", "", "holder_alive")
    ]
    site.sh("systemctl stop holder")
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["remove_lock"]
    assert only(site.repair()).outcome == "done"


# Units, time and certificates ---------------------------------------------------------------------------

DIES = "[Service]\nExecStart=/bin/sh -c 'sleep 0.4; exit 3'\n{restart}"


@pytest.mark.parametrize("restart", ["", "Restart=on-failure\nRestartSec=100ms\nStartLimitIntervalSec=0\n"])
def test_a_service_that_does_not_stay_up_is_not_taken_for_cured(site: Site, restart: str) -> None:
    site.put("/etc/systemd/system/lab-dies.service", DIES.format(restart=restart).encode())
    site.sh("systemctl daemon-reload")
    site.expect(expected_units=["lab-dies.service"], settle=2)
    found = site.propose()
    assert [entry.cure for entry in found.repairs] == ["start_unit"]
    done = site.repair()
    assert (only(done).outcome, bool(site.failure)) == ("failed", True)


def test_what_nobody_may_start_is_told_and_not_started(site: Site) -> None:
    site.sh("systemctl stop lab-sick lab-good; systemctl mask --quiet lab-sick")
    site.expect(expected_units=["lab-sick.service", "lab-gone.service"])
    found = site.propose()
    told = [(entry.subject, entry.cure, entry.reason) for entry in found.repairs]
    assert told == [("lab-sick.service", "", "unit_masked"), ("lab-gone.service", "", "unit_not_there")]
    # An approval that was forged to start something else.
    forged = {"id": "x", "code": "unit_dead", "subject": "lab-good.service", "cure": "start_unit"}
    site.approve([{**forged, "does": {"unit": "lab-good.service"}}])
    done = site.repair()
    assert (only(done).outcome, only(done).reason) == ("failed", "not_expected")
    site.approve([{**forged, "subject": "lab-sick.service", "does": {"unit": "lab-sick.service"}}])
    assert only(site.repair()).reason == "unit_masked"
    assert site.host.run("systemctl is-active lab-good lab-sick").stdout.split() == ["inactive", "inactive"]


def test_a_program_changed_since_the_decision_is_not_run_nor_one_that_others_may_write(site: Site) -> None:
    site.put("/srv/c.pem", certificate(days=-30).site)
    site.put("/usr/local/sbin/renew", RENEW.encode(), "0755")
    site.expect(certificates=[{"path": "/srv/c.pem", "hook": ["/usr/local/sbin/renew"]}])
    site.propose()
    site.sh("echo '# changed' >> /usr/local/sbin/renew")
    assert only(site.repair()).reason == "not_as_approved"
    site.sh("chmod 777 /usr/local/sbin/renew")
    assert only(site.repair()).reason == "hook_unsafe"
    assert [entry.reason for entry in site.propose().repairs] == ["hook_unsafe"]
    assert not site.host.file("/srv/renewals").exists

    site.put("/usr/local/sbin/renew", b"#!/bin/sh\necho no answer; exit 1\n", "0755")
    site.propose()
    failed = site.repair()
    assert (only(failed).outcome, only(failed).reason) == ("failed", "still_there")
    assert "no answer" in only(failed).log_tail
    site.expect(certificates=[{"path": "/srv/c.pem"}])
    assert [entry.reason for entry in site.propose().repairs] == ["no_hook"]


def chrony_packages(folder: Path) -> list[Path]:
    """Return Debian's time service as package files, from this machine's own sources."""
    names = ["chrony", "libedit2", "libbsd0", "ucf", "libnettle8", "libseccomp2", "tzdata"]
    subprocess.run(["apt-get", "download", "-q", *names], cwd=folder, check=True, capture_output=True)
    return sorted(folder.glob("*.deb"))


def test_the_time_service_that_was_switched_off_comes_back(site: Site) -> None:
    """The real chrony. A container may not set the clock, so it is told to leave it as it is (-x)."""
    for package in chrony_packages(site.folder):
        shutil.copy(package, site.disk / "srv")
    site.sh("dpkg --force-depends --install /srv/*.deb > /dev/null 2>&1 || dpkg --configure -a")
    site.sh(
        "mkdir -p /etc/systemd/system/chrony.service.d\n"
        "printf '[Unit]\\nConditionCapability=\\n[Service]\\nExecStart=\\nExecStart=!/usr/sbin/chronyd -x\\n'"
        " > /etc/systemd/system/chrony.service.d/lab.conf\n"
        "systemctl daemon-reload; systemctl disable --now --quiet chrony"
    )
    site.expect(time_service="chrony.service")
    found = site.propose()
    assert [(entry.code, entry.cure) for entry in found.repairs] == [("time_sync_off", "start_time_sync")]
    done = site.repair()
    assert (only(done).outcome, only(done).proof) == ("done", {"state": "active", "enabled": "enabled"})
    assert "Reference ID" in site.sh("chronyc tracking")

    # A service whose condition does not hold "starts" without a word.
    site.sh("rm -r /etc/systemd/system/chrony.service.d; systemctl daemon-reload; systemctl stop chrony")
    site.propose()
    failed = only(site.repair())
    assert (failed.outcome, failed.reason) == ("failed", "still_there")
    assert "unmet condition" in failed.detail


# Another family -----------------------------------------------------------------------------------------


def test_a_host_of_the_rhel_family_says_what_it_does_not_have(redhat_site: Site) -> None:
    site = redhat_site
    unit = "[Service]\nExecStart=/bin/sleep infinity\n"
    site.put("/etc/systemd/system/lab-unit.service", unit.encode())
    site.sh(
        "systemctl daemon-reload; : > /etc/passwd.lock\n"
        "mkdir -p /var/cache/dnf; mount -t tmpfs -o size=2m none /var/cache/dnf; cd /var/cache/dnf\n"
        "mkdir -p lab-1/packages; head -c 2000000 /dev/zero > lab-1/packages/a-1.rpm; echo keep > lab-1/solv"
    )
    site.expect(expected_units=["lab-unit.service"])
    found = site.propose()
    told: list[Any] = [(each.code, each.reason) for each in found.not_here]
    assert (found.family, told) == ("redhat", [("packages_unfinished", "not_on_this_family")])
    assert [entry.cure for entry in found.repairs] == ["clean_package_cache", "remove_lock", "start_unit"]
    done = site.repair()
    assert (set(outcomes(done).values()), site.failure) == ({"done"}, "")
    assert site.sh("find /var/cache/dnf -type f; systemctl is-active lab-unit").split() == [
        "/var/cache/dnf/lab-1/solv",
        "active",
    ]
    entry = {"id": "p", "code": "packages_unfinished", "subject": "dpkg", "cure": "configure_packages"}
    site.approve([{**entry, "does": {"packages": []}}])
    assert (only(site.repair()).outcome, only(site.repair()).reason) == ("failed", "not_on_this_family")
