"""The tests after an update on a host of the RHEL family: what passes, and what each has to notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from plans import HOST, NEW, OLD, update
from played import FreshHost, RunPlaybook
from testinfra.host import Host
from verified import Verified, failed_tests

from lab import driver

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

LAB = "rhelcampaign"
FILES = "/srv/rpm/lab-{}/noarch/{}-{}.noarch.rpm"


@pytest.fixture(name="verified")
def _verified(lab_inventory: Path, tmp_path: Path, run_playbook: RunPlaybook) -> Verified:
    return Verified(lab_inventory, tmp_path, run_playbook)


def install(host: Host, package: str, version: str = NEW, *words: str) -> None:
    """Install a version the way a person would."""
    file = FILES.format("updates" if version == NEW else "base", package, version)
    host.check_output(f"rpm --upgrade --oldpackage {' '.join(words)} {file}")


def test_updated_healthy_host_passes_and_so_does_a_rolled_back_one(
    fresh_host: FreshHost, verified: Verified
) -> None:
    host = fresh_host(HOST)
    verified.expect(HOST, [update("lab-web"), update("lab-kernel")], antivirus="")
    before = verified.test(HOST, phase="after-rollback")
    install(host, "lab-web")
    host.check_output(f"rpm --install {FILES.format('updates', 'lab-kernel', NEW)}")

    updated = verified.test(HOST)
    not_rolled_back = verified.test(HOST, phase="after-rollback")

    assert failed_tests(before) == {}
    assert (before.status, updated.status) == ("ok", "ok")
    assert failed_tests(not_rolled_back) == {
        "test_planned_versions_are_in_effect": f"versi tidak sesuai: lab-web {NEW} (seharusnya {OLD}),"
        f" lab-kernel {OLD} + {NEW} (seharusnya {OLD})"
    }


def test_approved_update_that_is_missing_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    fresh_host(HOST)
    verified.expect(HOST, [update("lab-web"), update("lab-kernel")], antivirus="")

    assert failed_tests(verified.test(HOST)) == {
        "test_planned_versions_are_in_effect": f"versi tidak sesuai: lab-web {OLD} (seharusnya {NEW}),"
        f" lab-kernel {OLD} (seharusnya {NEW})"
    }


def test_service_that_died_of_the_update_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host(HOST)
    verified.expect(HOST, [update("lab-crash")], antivirus="")
    install(host, "lab-crash")

    found = failed_tests(verified.test(HOST))

    assert "lab-crash.service" in found["test_services_active_before_are_active_now"]
    assert "lab-crash.service" in found["test_no_service_has_newly_failed"]


def test_package_that_rpm_left_twice_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host(HOST)
    verified.expect(HOST, [update("lab-tool")], antivirus="")
    host.check_output(f"rpm --install --force --nodeps {FILES.format('updates', 'lab-tool', NEW)}")

    found = failed_tests(verified.test(HOST))

    assert "lab-tool" in found["test_no_package_is_half_configured"]
    assert f"lab-tool {OLD} + {NEW}" in found["test_planned_versions_are_in_effect"]


def test_process_that_still_runs_the_old_version_is_noticed(
    fresh_host: FreshHost, verified: Verified
) -> None:
    host = fresh_host(HOST)
    verified.expect(HOST, [update("lab-web")], antivirus="")
    # A package whose scripts restart nothing.
    install(host, "lab-web", NEW, "--noscripts")

    found = failed_tests(verified.test(HOST))
    host.check_output("systemctl restart lab-web.service")
    after_restart = failed_tests(verified.test(HOST))

    assert list(found) == ["test_no_process_runs_old_code"]
    assert "lab-web.service" in found["test_no_process_runs_old_code"]
    assert after_restart == {}


def test_restart_that_was_not_done_is_noticed(fresh_host: FreshHost, verified: Verified) -> None:
    host = fresh_host(HOST)
    verified.expect(HOST, [{**update("lab-boot"), "reboot": True}], antivirus="")
    install(host, "lab-boot")

    pending = failed_tests(verified.test(HOST))
    driver.stop(LAB, HOST)
    driver.start(LAB, HOST)
    done = failed_tests(verified.test(HOST))

    assert pending == {"test_restart_that_was_needed_is_done": "mulai ulang masih diperlukan oleh: lab-boot"}
    assert done == {}
