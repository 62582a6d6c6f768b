"""The rungs of a rollback on a real host: kept packages, packages built again, files out of the backup."""

from __future__ import annotations

import pytest
from ladder_field import RUN, LadderField

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

CONF = ("conf", "5.0-1", "6.0-1")


def test_a_package_built_again_goes_back_and_files_come_out_of_the_backup(field: LadderField) -> None:
    host = field.with_package()
    field.plan(CONF)
    field.evidence("backup-hosts.yml")
    applied = field.evidence("apply-updates.yml")
    changed = host.file("/etc/conf.seen").content_string, host.file("/etc/conf.d/other.ini").content_string

    undone = field.evidence("rollback-updates.yml")
    again = field.evidence("rollback-updates.yml")

    kept = applied["save_packages"]["saved"]
    assert [(item["how"], item["notes"]) for item in kept] == [
        ("repacked", ["with /etc/conf.ini as somebody changed it"])
    ]
    assert applied["record_files"]["changed"] == [
        "/etc/conf.d/other.ini", "/etc/conf.ini.dpkg-dist", "/etc/conf.seen"
    ]  # fmt: skip
    assert changed == ("mine\n", "new other\n")
    assert undone["rollback_updates"]["from_kept"] == ["conf"]
    assert undone["restore_files"]["restored"] == ["/etc/conf.seen"]
    assert [item["path"] for item in undone["judge_rollback"]["left"]] == ["/etc/conf.ini.dpkg-dist"]
    assert undone["judge_rollback"]["whole"]
    assert host.package("conf").version == "5.0-1"
    assert host.file("/etc/conf.ini").content_string == "mine\n"
    assert host.file("/etc/conf.d/other.ini").content_string == "old other\n"
    assert host.file("/etc/conf.seen").content_string == "by hand\n"
    assert (again["rollback_updates"]["outcome"], again["restore_files"]["restored"]) == (
        "nothing to undo",
        [],
    )


def test_what_somebody_changed_since_the_update_stays_and_is_told(field: LadderField) -> None:
    host = field.with_package()
    field.plan(CONF)
    field.evidence("backup-hosts.yml")
    field.evidence("apply-updates.yml")
    host.check_output("echo somebody > /etc/conf.d/other.ini; echo somebody > /etc/conf.seen")

    undone = field.evidence("rollback-updates.yml")

    assert undone["restore_files"]["restored"] == []
    left = [item["path"] for item in undone["restore_files"]["left"]]
    assert left == ["/etc/conf.d/other.ini", "/etc/conf.ini.dpkg-dist", "/etc/conf.seen"]
    assert host.file("/etc/conf.d/other.ini").content_string == "somebody\n"


def test_a_changed_program_is_not_passed_off_as_the_package(field: LadderField) -> None:
    host = field.with_package()
    host.check_output(
        "sh -c 'cd /srv/conf && apt-get download -q lab-tool >/dev/null; dpkg -i lab-tool_*.deb'"
    )
    host.check_output("rm -f /srv/conf/lab-tool_*.deb /var/cache/apt/archives/*.deb")
    host.check_output("sh -c 'echo true >> /usr/bin/lab-tool; rm /etc/apt/sources.list.d/lab.sources'")
    version = host.package("lab-tool").version
    field.plan(("lab-tool", version, "9-1"))

    kept = field.play("apply-updates.yml").evidence["web1"]["save_packages"]

    assert kept["saved"] == []
    assert kept["not_saved"] == [
        {"package": "lab-tool", "version": version, "reason": "/usr/bin/lab-tool is changed on the host"}
    ]


def test_without_the_backup_the_host_needs_a_person_and_every_file_is_named(field: LadderField) -> None:
    host = field.with_package()
    field.plan(CONF)
    field.evidence("apply-updates.yml", rawat_run="2026-11-22-ladder-2")

    played = field.play("rollback-updates.yml", rawat_run="2026-11-22-ladder-2")

    said = played.failures["web1"]
    assert "need a person" in said
    assert (
        "/etc/conf.seen: the repository has no snapshot of this host with the tag 2026-11-22-ladder-2" in said
        or ("/etc/conf.seen: the snapshots cannot be listed" in said)
    )
    # The rung before it did its part all the same.
    assert played.evidence["web1"]["rollback_updates"]["outcome"] == "rolled back"
    assert host.package("conf").version == "5.0-1"


def test_a_flipped_byte_in_what_was_kept_is_never_installed(field: LadderField) -> None:
    host = field.with_package()
    field.plan(CONF)
    field.evidence("apply-updates.yml")
    host.check_output(
        f"sh -c 'printf x | dd of=$(ls /var/lib/rawat/{RUN}/packages/*.deb) bs=1 seek=200 conv=notrunc'"
    )

    played = field.play("rollback-updates.yml")

    assert "no longer offered" in played.failures["web1"]
    assert host.package("conf").version == "6.0-1"


def test_what_ended_runs_kept_is_removed_and_nothing_else(field: LadderField) -> None:
    host = field.with_package()
    field.plan(CONF)
    field.evidence("apply-updates.yml", rawat_claim={"run": RUN, "started": "a" * 64, "operator": "x"})
    others = {"rawat_run": "2026-11-23-other", "rawat_ended": ["b" * 64]}
    claim = {"run": "2026-11-23-other", "started": "c" * 64, "operator": "x"}
    first = field.evidence("apply-updates.yml", rawat_claim=claim, **others)
    assert first["save_packages"]["removed"] == []

    others["rawat_ended"] = ["a" * 64]
    second = field.evidence("apply-updates.yml", rawat_claim=claim, **others)

    assert second["save_packages"]["removed"] == [RUN]
    assert not host.file(f"/var/lib/rawat/{RUN}/packages").exists
    assert host.file(f"/var/lib/rawat/{RUN}/files-before.json").exists
