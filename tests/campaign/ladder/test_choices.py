"""A changed configuration file is replaced where that was decided, and nowhere else."""

from __future__ import annotations

import pytest
from ladder_field import LadderField

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

CONF = ("conf", "5.0-1", "6.0-1")


def test_the_chosen_file_is_new_before_the_package_s_script_runs_and_comes_back(field: LadderField) -> None:
    host = field.with_package()
    host.check_output("sh -c 'chmod 640 /etc/conf.ini; echo mine too > /etc/conf.d/other.ini'")
    host.check_output('sh -c "echo by hand > /etc/conf.seen"')
    planned = field.evidence("plan-updates.yml", plan_updates_conffiles={"/etc/conf.ini": "new"})
    files = planned["plan_updates"]["conffiles"]
    field.plan(CONF, conffiles=tuple(files))
    field.evidence("backup-hosts.yml")

    applied = field.evidence("apply-updates.yml")

    assert {item["path"]: item["choice"] for item in files} == {
        "/etc/conf.ini": "new",
        "/etc/conf.d/other.ini": "keep",
    }
    assert applied["apply_updates"]["new_conffiles"] == ["/etc/conf.ini"]
    assert host.file("/etc/conf.ini").content_string == "new\n"
    assert host.file("/etc/conf.ini").mode == 0o640
    assert host.file("/etc/conf.ini.dpkg-old").content_string == "mine\n"
    assert host.file("/etc/conf.d/other.ini").content_string == "mine too\n"
    # What the package's own script saw while it was configured.
    assert host.file("/etc/conf.seen").content_string == "new\n"

    undone = field.evidence("rollback-updates.yml")

    # The package was built again with the file as somebody had changed it, so it comes back with that.
    assert undone["restore_files"]["restored"] == ["/etc/conf.seen"]
    assert host.file("/etc/conf.ini").content_string == "mine\n"
    assert host.file("/etc/conf.d/other.ini").content_string == "mine too\n"


def test_what_was_chosen_at_the_gate_counts_and_not_what_was_proposed(field: LadderField) -> None:
    host = field.with_package()
    host.check_output("sh -c 'echo mine too > /etc/conf.d/other.ini'")
    planned = field.evidence("plan-updates.yml", plan_updates_conffiles={"/etc/conf.d/other.ini": "new"})
    field.plan(CONF, conffiles=tuple(planned["plan_updates"]["conffiles"]))
    chosen = {"web1": {"/etc/conf.ini": "new", "/etc/conf.d/other.ini": "keep"}}

    applied = field.evidence("apply-updates.yml", rawat_conffiles=chosen)

    assert applied["apply_updates"]["new_conffiles"] == ["/etc/conf.ini"]
    assert host.file("/etc/conf.ini").content_string == "new\n"
    assert host.file("/etc/conf.d/other.ini").content_string == "mine too\n"


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        ("echo again > /etc/conf.ini", "/etc/conf.ini was changed again since it was planned"),
        ("", "ships no configuration file /etc/never.ini"),
    ],
)
def test_a_choice_that_does_not_fit_any_more_refuses_everything(
    field: LadderField, breaks: str, said: str
) -> None:
    host = field.with_package()
    path = "/etc/conf.ini" if breaks else "/etc/never.ini"
    seen = host.check_output("sha256sum /etc/conf.ini").split()[0] if breaks else ""
    chosen = {"package": "conf", "path": path, "state": "changed", "choice": "new", "sha256": seen}
    field.plan(CONF, conffiles=(chosen,))
    if breaks:
        host.check_output(f"sh -c '{breaks}'")
    before = host.file("/etc/conf.ini").content_string

    played = field.play("apply-updates.yml")

    assert said in played.failures["web1"]
    assert played.evidence["web1"]["apply_updates"]["outcome"] == "drift"
    assert host.package("conf").version == "5.0-1"
    assert host.file("/etc/conf.ini").content_string == before
