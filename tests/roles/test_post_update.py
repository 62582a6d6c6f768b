"""The tests after an update, on real hosts of a lab: what passes, and what each of them has to notice."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from played import LAB, FreshHost, RunPlaybook
from testinfra.host import Host
from verified import Verified, failed_tests

from lab import driver
from lab.packages import NEW, OLD
from runner.executors import verification

pytestmark = pytest.mark.lab


@pytest.fixture(name="verified")
def _verified(lab_inventory: Path, tmp_path: Path, run_playbook: RunPlaybook) -> Verified:
    return Verified(lab_inventory, tmp_path, run_playbook)


def update_of(package: str) -> dict[str, str]:
    return {"package": package, "from": OLD, "to": NEW}


def install(host: Host, package: str, version: str) -> None:
    """Install a version the way a person would."""
    host.check_output(
        "apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive"
        f" apt-get install -q -y --allow-downgrades {package}={version} >/dev/null 2>&1"
    )


def test_updated_healthy_host_passes_and_so_does_a_rolled_back_one(
    fresh_host: FreshHost, verified: Verified
) -> None:
    host = fresh_host("file1")
    verified.expect("file1", [update_of("lab-good"), update_of("lab-tool")])
    before = verified.test("file1", phase="after-rollback")
    install(host, "lab-good", NEW)
    install(host, "lab-tool", NEW)

    updated = verified.test("file1")
    not_rolled_back = verified.test("file1", phase="after-rollback")

    assert failed_tests(before) == {}
    assert (before.status, updated.status) == ("ok", "ok")
    assert updated.results["verification"]["failed"] == 0
    assert updated.results["verification"]["passed"] == len(updated.results["verification"]["tests"])
    assert list(failed_tests(not_rolled_back)) == ["test_planned_versions_are_in_effect"]
    assert all(re.match(r"[A-Z].*\.$", test["title"]) for test in updated.results["verification"]["tests"])


@pytest.mark.campaign
def test_file_system_that_is_gone_or_cannot_be_written_any_more_is_noticed(
    fresh_host: FreshHost, verified: Verified
) -> None:
    host = fresh_host("file1")
    mount = "mkdir -p /srv/{0} /srv/of-{0} && mount --bind /srv/of-{0} /srv/{0}"
    host.check_output(f"sh -c '{mount.format('arsip')}; {mount.format('data')}'")
    verified.expect("file1", [])
    sound = verified.test("file1")
    host.check_output("sh -c 'umount /srv/arsip; mount -o remount,bind,ro /srv/data'")

    broken = verified.test("file1")

    assert failed_tests(sound) == {}
    (said,) = failed_tests(broken).values()
    assert "/srv/arsip tidak terpasang, /srv/data kini hanya dapat dibaca" in said
    assert list(failed_tests(broken)) == ["test_file_systems_mounted_before_are_mounted_now"]


@pytest.mark.campaign
def test_approved_update_that_is_missing_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    fresh_host("file1")
    verified.expect("file1", [update_of("lab-good")])

    found = verified.test("file1")

    assert found.status == "failed"
    assert failed_tests(found) == {
        "test_planned_versions_are_in_effect": f"versi tidak sesuai: lab-good {OLD} (seharusnya {NEW})"
    }


def test_stopped_service_is_named(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("file1")
    verified.expect("file1", [])
    host.check_output("systemctl stop lab-good.service")

    found = verified.test("file1")

    assert found.status == "failed"
    assert failed_tests(found) == {
        "test_services_active_before_are_active_now": "layanan tidak aktif: lab-good.service (inactive)",
        "test_ports_listening_before_listen_now": "port tertutup: tcp/8090",
        "test_addresses_answer_as_before": "alamat tidak menjawab semestinya: http://127.0.0.1:8090/ menjawab"
        " tidak sama sekali (sebelumnya 200)",
    }


def test_service_that_runs_but_answers_an_error_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("web1")
    verified.expect("web1", [update_of("lab-sick")])
    install(host, "lab-sick", NEW)

    found = failed_tests(verified.test("web1"))

    assert list(found) == ["test_addresses_answer_as_before"]
    assert "http://127.0.0.1:8091/ menjawab 500 (sebelumnya 200)" in found["test_addresses_answer_as_before"]


def test_one_connection_a_host_and_one_a_command_give_the_same_verdicts(
    fresh_host: FreshHost, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, broken = fresh_host("file1"), fresh_host("web1")
    found = {}
    for name, host in (("file1", sound), ("web1", broken)):
        verified.expect(name, [update_of("lab-good")])
        install(host, "lab-good", NEW)
        if host is broken:
            host.check_output("systemctl stop lab-good.service && touch /run/reboot-required")
            host.check_output("sed -i '0,/^Status: install ok installed/s//Status: install ok unpacked/' "
                              "/var/lib/dpkg/status")  # fmt: skip
        over_one = verified.test(name)
        with monkeypatch.context() as ordinary:
            ordinary.setattr(verification, "PLUGINS", verification.PLUGINS[:-1])
            over_many = verified.test(name)
        found[name] = over_one.status
        assert over_one.results == over_many.results
    assert found == {"file1": "ok", "web1": "failed"}


def test_service_that_died_of_the_update_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("web2")
    verified.expect("web2", [update_of("lab-crash")])
    install(host, "lab-crash", NEW)

    found = failed_tests(verified.test("web2"))

    assert "lab-crash.service" in found["test_services_active_before_are_active_now"]
    assert "lab-crash.service" in found["test_no_service_has_newly_failed"]


@pytest.mark.campaign
def test_half_configured_package_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("web3")
    verified.expect("web3", [update_of("lab-postinst")])
    host.run(f"apt-get update -q && apt-get install -q -y lab-postinst={NEW}")

    found = failed_tests(verified.test("web3"))

    assert "lab-postinst" in found["test_no_package_is_half_configured"]
    assert "lab-postinst" in found["test_planned_versions_are_in_effect"]


def test_process_that_still_runs_the_old_version_is_noticed(
    fresh_host: FreshHost, verified: Verified
) -> None:
    host = fresh_host("file1")
    verified.expect("file1", [update_of("lab-good")])
    pid = host.check_output("systemctl show --property=MainPID --value lab-good.service")
    # A maintainer script that forgets to restart its service.
    host.check_output("mount --bind /bin/true /usr/bin/systemctl")
    install(host, "lab-good", NEW)
    host.check_output("umount /usr/bin/systemctl")
    assert host.check_output("systemctl show --property=MainPID --value lab-good.service") == pid

    found = failed_tests(verified.test("file1"))
    host.check_output("systemctl restart lab-good.service")
    after_restart = failed_tests(verified.test("file1"))

    assert list(found) == ["test_no_process_runs_old_code"]
    assert "lab-good.service" in found["test_no_process_runs_old_code"]
    assert after_restart == {}


@pytest.mark.campaign
def test_replaced_library_still_in_use_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("file1")
    verified.expect("file1", [{"package": "rsync", "from": "0", "to": host.package("rsync").version}])
    # What an update does: the same name, another file. The service goes on with the old one.
    host.check_output("cd /usr/bin && cp rsync rsync.new && mv rsync.new rsync")

    found = failed_tests(verified.test("file1"))

    assert list(found) == ["test_no_process_runs_old_code"]
    assert "paket rsync" in found["test_no_process_runs_old_code"]


@pytest.mark.campaign
def test_restart_that_was_not_done_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("db1")
    verified.expect("db1", [update_of("lab-reboot")], reboot_host={"rebooted": True})
    install(host, "lab-reboot", NEW)

    pending = failed_tests(verified.test("db1"))
    host.check_output("rm /run/reboot-required*")
    pretended = failed_tests(verified.test("db1"))
    driver.stop(LAB, "db1")
    driver.start(LAB, "db1")
    done = failed_tests(verified.test("db1"))

    assert "lab-reboot" in pending["test_restart_that_was_needed_is_done"]
    assert pretended == {"test_restart_that_was_needed_is_done": "host belum benar-benar dimulai ulang"}
    assert done == {}


@pytest.mark.campaign
def test_kernel_that_came_and_does_not_run_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    """A host that starts its kernel from its own disk; that of the lab stands for the old one."""
    host = fresh_host("file1")
    running = host.check_output("uname -r")
    flavour = running.partition("-")[2]
    came = [{"package": f"linux-image-99.1-{flavour}", "from": "", "to": NEW}]
    verified.expect("file1", came)
    without_own = failed_tests(verified.test("file1"))
    host.check_output("mkdir -p /boot && touch /boot/vmlinuz-$(uname -r)")
    old = failed_tests(verified.test("file1"))
    verified.expect("file1", [{**came[0], "package": f"linux-image-{running}"}])
    is_it = failed_tests(verified.test("file1"))

    name = "test_kernel_that_came_is_running"
    assert old[name] == f"kernel {running} masih berjalan (seharusnya 99.1-{flavour})"
    assert name not in without_own
    assert name not in is_it


@pytest.mark.campaign
def test_antivirus_without_its_test_signature_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("web2")
    verified.expect("web2", [])
    host.check_output(
        "rm /var/lib/clamav/rawat-lab.ndb && systemctl restart clamav-daemon && clamdscan --ping 30"
    )

    assert list(failed_tests(verified.test("web2"))) == ["test_scanner_finds_the_test_virus"]


@pytest.mark.campaign
def test_database_that_was_not_loaded_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host("web2")
    verified.expect("web2", [])
    host.check_output("sed -i '/NotifyClamd/d' /etc/clamav/freshclam.conf && freshclam >/dev/null 2>&1")

    assert failed_tests(verified.test("web2")) == {
        "test_loaded_database_is_the_one_on_disk": "basis data yang dipakai 1, di disk 6"
    }


@pytest.mark.campaign
def test_host_nothing_is_known_about_fails(fresh_host: FreshHost, verified: Verified) -> None:
    fresh_host("file1")

    found = verified.test("file1")

    assert found.status == "failed"
    assert set(failed_tests(found).values()) == {
        "keadaan yang diharapkan tidak tercatat: file1.json tidak ada"
    }


def test_host_that_is_off_is_unreachable(fresh_host: FreshHost, verified: Verified) -> None:
    fresh_host("web3")
    verified.expect("web3", [])
    driver.stop(LAB, "web3")
    begun = time.monotonic()

    found = verified.test("web3")

    assert found.status == "unreachable"
    assert time.monotonic() - begun < 60
