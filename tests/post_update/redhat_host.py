"""What the tests ask of a host of the RHEL family: the same questions, put to rpm and dnf."""

from __future__ import annotations

from conftest import Ask, Expectation
from testinfra.host import Host

FAMILY = {"rhel", "fedora", "centos"}


def is_one(host: Host) -> bool:
    """Tell whether a host's os-release is that of Red Hat Enterprise Linux or a system like it."""
    lines = host.run("cat /etc/os-release").stdout.splitlines()
    fields = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    return bool(FAMILY & {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()})


def wrong_versions(expect: Expectation, ask: Ask) -> list[str]:
    """Return the planned packages that are not in the version they have to have."""
    found = ask("rpm_packages", sorted(expect.versions))
    side = "from" if expect.phase == "after-update" else "to"
    wrong = []
    for update in expect.plan["updates"]:
        package, wanted = update["package"], expect.versions[update["package"]]
        versions = found["installed"].get(package, [])
        # A new kernel stands beside the old one; a new one that was taken back is gone.
        is_alone = versions == [wanted] or (package in found["beside"] and side == "from")
        is_alone = is_alone or (package in found["beside"] and update["to"] not in versions)
        if wanted not in versions or not is_alone:
            wrong.append(f"{package} {' + '.join(versions) or 'tidak terpasang'} (seharusnya {wanted})")
    return wrong


def problems(host: Host) -> list[str]:
    """Return what rpm's database and dnf complain of: an unsound database, packages that are there twice."""
    database = host.run("timeout 120 rpmdb --verifydb")
    assert database.rc == 0, f"basis data rpm rusak: {(database.stdout + database.stderr).strip()[-300:]}"
    checked = host.run("timeout 120 dnf --quiet --cacheonly check --duplicates")
    return [] if checked.rc == 0 else (checked.stdout + checked.stderr).split("\n")
