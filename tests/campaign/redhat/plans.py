"""Approved plans for the hosts of the campaign, and what rpm and dnf say of a host afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

HOST = "rhel1"
RUN = "2026-11-22-test-1"
OLD, NEW = "1.0-1", "1.0-2"
Plan = Callable[..., Path]
Update = dict[str, Any]


def update(package: str, before: str = OLD, after: str = NEW) -> Update:
    """Return an approved update as a plan has it, as far as the roles use it."""
    return {"package": package, "from": before, "to": after}


def written(folder: Path, updates: list[Update], *, reboot: bool = False) -> Path:
    """Write an approved plan for the one host."""
    planned = {
        "updates": [{**u, "reboot": u["package"] == "lab-boot"} for u in updates],
        "antivirus": None,
        "reboot": {"expected": reboot, "because": []},
        "new_packages": [],
    }
    path = folder / "plan.json"
    path.write_text(json.dumps({"format": 1, "run": RUN, "hosts": {HOST: planned}, "not_planned": {}}))
    return path


def packages_of(host: Host) -> list[str]:
    """Return every version of every package that rpm has on record."""
    return sorted(str(host.check_output("rpm -qa")).split())


def transactions(host: Host) -> list[str]:
    """Return the commands of dnf's history, the newest first."""
    table = str(host.check_output("dnf -q -C history list 2>/dev/null || true"))
    return [line.split("|")[1].strip() for line in table.splitlines() if line.strip()[:1].isdigit()]


def complaints(host: Host) -> str:
    """Return what is wrong with rpm's database, and which packages are there twice."""
    return str(host.run("rpmdb --verifydb; dnf -q -C check --duplicates --dependencies").stdout).strip()


INDEX = "rm -rf {0}/repodata && createrepo_c --quiet {0} && dnf -q makecache --refresh"


def offer(host: Host, package: str, release: str, repository: str = "lab-updates") -> None:
    """Make a repository of the host offer another release of a package, as if its mirror had moved."""
    specs = f"/usr/src/rawat-lab/*/{package}.spec"
    host.check_output(
        f"sed 's/^Release:.*/Release: {release}/' $(ls {specs} | tail -n 1) > /tmp/{package}.spec;"
        f" rpmbuild --quiet -bb --define '_topdir /tmp/rpmbuild' --define '_rpmdir /srv/rpm/{repository}'"
        f" /tmp/{package}.spec && {INDEX.format('/srv/rpm/' + repository)}"
    )


def withdraw(host: Host, package: str, release: str, repository: str) -> None:
    """Take a release of a package out of a repository of the host."""
    host.check_output(
        f"rm /srv/rpm/{repository}/noarch/{package}-1.0-{release}.noarch.rpm;"
        f" {INDEX.format('/srv/rpm/' + repository)}"
    )


def slow_down(host: Host, seconds: int) -> None:
    """Make the scripts of the lab's services wait, in the middle of rpm's work.

    The file /var/in-script is there from then on.
    """
    host.check_output(
        "set -e; mv /usr/bin/systemctl /usr/bin/systemctl.real; printf '%s\\n' '#!/bin/bash'"
        ' \'case "$*" in *enable*) if [ ! -e /var/in-script ]; then touch /var/in-script;'
        f" sleep {seconds}; fi;; esac'"
        ' \'exec -a "$0" /usr/bin/systemctl.real "$@"\' > /usr/bin/systemctl; chmod 755 /usr/bin/systemctl'
    )
