"""dnf behind an office's cache of packages: all comes through it, nobody goes around it, nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import labs
import pytest
from plans import HOST, NEW, RUN, Plan, packages_of, update
from played import FreshHost, Played, RunPlaybook
from shared_cache import Office, await_closed, opened
from testinfra.host import Host

from lab import driver

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

LAB, SOURCE = "rhelcampaign", "rhel2"
ASKED = "/root/asked"
SERVE = (
    "systemd-run --quiet --collect --unit=source"
    f" sh -c 'cd /srv/rpm && exec python3 -u -m http.server 80 >{ASKED} 2>&1'"
)
# A host that has no packages of its own, and asks another one for them.
ELSEWHERE = (
    "rm -r /srv/rpm /var/cache/dnf; sed -i 's|^baseurl=.*/|baseurl=http://{source}/|' /etc/yum.repos.d/*.repo"
)


@pytest.fixture(name="office")
def _office(lab_inventory: Path, tmp_path: Path) -> Iterator[Office]:
    """Give the office to a test, its cache at work with nothing in it."""
    with opened(driver.load(LAB), lab_inventory, tmp_path) as office:
        yield office


@pytest.fixture
def source(office: Office, fresh_host: FreshHost) -> Host:
    """Return the host that offers the packages, and have the other one ask it alone."""
    found = fresh_host(SOURCE)
    found.check_output(SERVE)
    address = office.lab.address(office.lab.host(SOURCE))
    fresh_host(HOST).check_output(f'sh -c "{ELSEWHERE.format(source=address)}"')
    return found


def asked(source: Host) -> list[tuple[str, str]]:
    """Return who asked the source for what."""
    lines = [line.split() for line in source.file(ASKED).content_string.splitlines() if '"GET ' in line]
    return [(words[0], words[6]) for words in lines]


def settings(host: Host) -> str:
    """Return what dnf is told on the host."""
    told: str = host.check_output("sh -c 'cat /etc/dnf/*.conf /etc/yum.repos.d/*'")
    return told


def test_everything_comes_through_the_cache_of_the_inventory(
    office: Office, source: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = labs.connection(office.inventory, HOST)
    before, told, said = packages_of(host), settings(host), {"plan_updates_proxy": office.url}

    def act(playbook: str) -> Played:
        played = run_playbook(playbook, HOST, rawat_run=RUN, rawat_plan=str(plan), **said)
        assert played.failures == {}, played.output
        return played

    planned = run_playbook("plan-updates.yml", HOST, **said)
    plan = plan_file([update("lab-tool"), update("lab-quiet")])
    applied = act("apply-updates.yml").evidence[HOST]
    changed = packages_of(host)
    host.check_output("sh -c 'rm -r /var/cache/dnf /var/lib/rawat/*/packages'")
    undone = act("rollback-updates.yml").evidence[HOST]

    assert planned.failures == {}, planned.output
    found = {u["package"]: u["to"] for u in planned.evidence[HOST]["plan_updates"]["updates"]}
    assert (found["lab-tool"], found["lab-quiet"]) == (NEW, NEW)
    assert [item["how"] for item in applied["save_packages"]["saved"]] == ["channel", "channel"]
    assert applied["apply_updates"]["outcome"] == "applied"
    assert changed != before
    assert undone["rollback_updates"]["outcome"] == "rolled back"
    assert packages_of(host) == before
    line = asked(source)
    assert {who for who, _ in line} == {office.lab.controller}
    packages = [path.rpartition("/")[2] for _, path in line if path.endswith(".rpm")]
    # Old and new, each once over the line: what the rollback asks for again is in the cache.
    assert sorted(packages) == sorted(
        f"{name}-1.0-{release}.noarch.rpm" for name in ("lab-quiet", "lab-tool") for release in (1, 2)
    )
    assert settings(host) == told


def test_a_dead_cache_is_named_and_nobody_goes_around_it(
    office: Office, source: Host, run_playbook: RunPlaybook
) -> None:
    office.close_cache()
    await_closed(office.place)

    played = run_playbook("plan-updates.yml", HOST, plan_updates_proxy=office.url)

    assert (
        f"could not be refreshed through the proxy {office.url}, so updates are not known"
        in played.failures[HOST]
    )
    assert asked(source) == []
