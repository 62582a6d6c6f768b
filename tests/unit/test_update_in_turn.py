"""All modules of an update in one call: their order, what each is given, and where it ends."""

from __future__ import annotations

import fcntl
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from role_modules import module, shared

RUN = "2026-01-01-example-1"
UPDATE = {"package": "openssl", "from": "1", "to": "2"}
GIVEN: dict[str, Any] = {
    "approved": [UPDATE],
    "run": RUN,
    "wait": 5,
    "reattach": False,
    "reboot_approved": False,
    "save_packages": {"reserve_bytes": 1, "started": "a" * 64, "ended": ["b" * 64]},
    "record_files": {"paths": ["/etc"], "left_out": [], "most_files": 1, "most_bytes": 1},
    "take_snapshot": {"planned": False, "keep_days": 7},
    "install_updates": {"lock_timeout": 1, "timeout": 1},
    "update_antivirus": {"required": False},
    "probe_reboot": {"packages": ["openssl"]},
}
ALL = ["save_packages", "before", "take_snapshot", "install_updates", "after", "update_antivirus_database"]
NO_REBOOT = {"required": False, "because": [], "boot_id": "boot", "restarted": None}
Answer = Callable[[Any], None]


def ends(**result: object) -> Answer:
    """Return a module's work: it ends so."""

    def answer(told: Any) -> None:  # noqa: ANN401 - an AnsibleModule
        told.fail_json(**result) if "msg" in result else told.exit_json(**result)

    return answer


class Turn:
    """One call of the module, with modules in place of the real ones."""

    def __init__(
        self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: Path
    ) -> None:
        self._patch, self._capsys = patch, capsys
        self.directory = directory
        self.begun: list[str] = []
        self.given: dict[str, dict[str, Any]] = {}
        self.checked: set[bool] = set()
        self.answers: dict[str, Answer] = {"probe_reboot": ends(changed=False, **NO_REBOOT)}

    def call(self, given: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """Return the result of the module."""
        turn = module("apply_updates", "update_in_turn")
        for name in {*ALL, "record_files", "probe_reboot"} - {"before", "after"}:
            self._stand_in(shared(name))
        whole = {"state_directory": str(self.directory), **given, "_ansible_check_mode": check}
        with patch_module_args(whole), pytest.raises(SystemExit):
            turn.main()
        said: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return said

    def _stand_in(self, found: Any) -> None:  # noqa: ANN401 - a module
        name, real = found.__name__.rpartition(".")[2], found.main

        def main() -> None:
            # Its own arguments are checked as ever: the real main makes the module, and ends here.
            made = found.AnsibleModule

            def making(**spec: Any) -> None:  # noqa: ANN401 - AnsibleModule's own
                told = made(**spec)
                step = told.params.get("moment", name)
                self.begun.append(step)
                self.given[step] = told.params
                self.checked.add(told.check_mode)
                self.answers.get(step, ends(changed=True, evidence={"of": step}))(told)

            self._patch.setattr(found, "AnsibleModule", making)
            real()

        self._patch.setattr(found, "main", main)


@pytest.fixture(name="turn")
def _turn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Turn:
    # What is found out of the machine that tests.
    monkeypatch.setattr(shared("rpm_states"), "os_release", dict)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return Turn(monkeypatch, capsys, tmp_path / "rawat")


def test_modules_are_done_in_order_and_each_publishes_under_its_role_s_name(turn: Turn) -> None:
    said = turn.call(GIVEN)

    assert turn.begun == [*ALL, "probe_reboot"]
    assert {role: told.get("of") for role, told in said["evidence"].items()} == {
        "save_packages": "save_packages",
        "record_files": "after",
        "take_snapshot": "take_snapshot",
        "apply_updates": "install_updates",
        "update_antivirus": "update_antivirus_database",
        "reboot_host": None,
    }
    assert said["changed"] is True
    assert turn.checked == {False}
    kept, installed = turn.given["save_packages"], turn.given["install_updates"]
    assert (kept["run"], kept["started"], kept["ended"]) == (RUN, "a" * 64, ["b" * 64])
    assert (installed["approved"], installed["run"], installed["reattach"]) == ([UPDATE], RUN, False)


@pytest.mark.parametrize("failing", [*ALL, "probe_reboot"])
def test_the_first_that_fails_ends_it_and_what_was_done_is_told(turn: Turn, failing: str) -> None:
    turn.answers[failing] = ends(msg="No room.", evidence={"of": failing})
    order = [*ALL, "probe_reboot"]

    said = turn.call(GIVEN)

    assert turn.begun == order[: order.index(failing) + 1]
    assert (said["failed"], said["msg"]) == (True, "No room.")
    assert failing in {told["of"] for told in said["evidence"].values()}
    assert "reboot_host" not in said["evidence"]


def test_a_module_that_breaks_claims_nothing(turn: Turn) -> None:
    def breaks(_told: object) -> None:
        raise PermissionError(13, "refused")

    turn.answers["install_updates"] = breaks
    said = turn.call(GIVEN)

    assert said["failed"]
    assert "install_updates" in said["msg"]
    assert said["evidence"]["apply_updates"]["outcome"] == "failed"
    assert "refused" in said["evidence"]["apply_updates"]["log_tail"]
    assert turn.begun[-1] == "install_updates"


def test_arguments_that_do_not_fit_a_module_are_refused_by_it(turn: Turn) -> None:
    said = turn.call({**GIVEN, "install_updates": {"lock_timeout": "soon", "timeout": 1}})

    assert said["failed"]
    assert "lock_timeout" in said["msg"]
    assert turn.begun == ALL[:3]


def test_work_that_is_joined_keeps_nothing_and_takes_no_snapshot(turn: Turn) -> None:
    turn.call({**GIVEN, "reattach": True})

    assert turn.begun == [*ALL[3:], "probe_reboot"]
    assert turn.given["install_updates"]["reattach"] is True


def test_check_mode_holds_in_each_of_them(turn: Turn) -> None:
    turn.call(GIVEN, check=True)

    assert turn.checked == {True}
    assert not turn.directory.exists()


def test_an_earlier_call_that_goes_on_alone_is_waited_for_and_not_joined_in_the_middle(turn: Turn) -> None:
    """Its controller was killed: it may be fetching the antivirus database, which two cannot do at once."""
    turn.directory.mkdir()
    with (turn.directory / "turn.lock").open("w", encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = turn.call({**GIVEN, "wait": 0})

    assert "still at work" in said["msg"]
    assert turn.begun == []
    assert said["evidence"] == {"apply_updates": {}}
    assert turn.call(GIVEN)["evidence"]["apply_updates"] == {"of": "install_updates"}


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("required", [False, True])
def test_a_reboot_is_told_here_unless_it_is_due(turn: Turn, *, required: bool, approved: bool) -> None:
    turn.answers["probe_reboot"] = ends(changed=False, **{**NO_REBOOT, "required": required})

    said = turn.call({**GIVEN, "reboot_approved": approved})

    told = said["evidence"].get("reboot_host")
    assert (told is None) == (required and approved)
    assert told is None or (told["required"], told["approved"], told["rebooted"]) == (
        required,
        approved,
        False,
    )


def test_a_host_that_was_told_to_restart_is_left_to_the_role(turn: Turn) -> None:
    restarted = {"boot_id": "other", "because": [], "seconds": 9}
    turn.answers["probe_reboot"] = ends(changed=False, **{**NO_REBOOT, "restarted": restarted})

    assert "reboot_host" not in turn.call(GIVEN)["evidence"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "../elsewhere"},
        {"run": ""},
        {"approved": [{"package": "openssl", "from": "1"}]},
        {"approved": [UPDATE, UPDATE]},
    ],
)
def test_what_is_not_approved_in_the_right_form_begins_nothing(turn: Turn, wrong: dict[str, Any]) -> None:
    said = turn.call({**GIVEN, **wrong})

    assert said["failed"]
    assert "not approved in a form" in said["msg"]
    assert turn.begun == []


def test_where_the_work_cannot_be_noted_down_nothing_is_begun(turn: Turn) -> None:
    turn.directory.write_text("a file in the place of the folder", encoding="ascii")

    said = turn.call(GIVEN)

    assert said["msg"].startswith("Nothing installed, the work could not be noted down: ")
    assert said["evidence"] == {"apply_updates": {}}
    assert turn.begun == []


@pytest.mark.parametrize("part", ["save_packages", "install_updates"])
def test_a_proxy_with_a_password_begins_nothing_and_is_not_repeated(turn: Turn, part: str) -> None:
    said = turn.call({**GIVEN, part: {**GIVEN[part], "proxy": "http://user:word@cache"}})

    assert said["failed"]
    assert "The proxy is not of the form" in said["msg"]
    assert "word@" not in said["msg"]
    assert turn.begun == []
