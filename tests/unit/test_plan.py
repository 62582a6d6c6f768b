"""The plan: what is decided on, made from evidence, the same for the same evidence, whatever a host sends."""

from __future__ import annotations

from typing import Any

import pytest

from runner.canonical import digest_of
from runner.plan import ActsBy, hosts_to_change, make_plan

SOP, ROLES = "a" * 64, "b" * 64
VARIABLES = {"web1": "c" * 64}


def update(package: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {"package": package, "architecture": "amd64", "from": "1", "to": "2", "kind": "security", **more}


def evidence(host: str, status: str = "ok", **found: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    results = {"plan_updates": {"updates": [], **found}} if status == "ok" else {}
    failure = None if status == "ok" else {"task": "plan", "message": "no answer"}
    return {"host": host, "status": status, "results": results, "failure": failure}


def plan(*items: dict[str, Any]) -> dict[str, Any]:
    return make_plan("run-1", SOP, ActsBy(ROLES, VARIABLES), items)


def test_a_plan_says_of_which_run_sop_and_roles_it_is() -> None:
    made = plan()
    assert (made["run"], made["sop_sha256"], made["roles_sha256"]) == ("run-1", SOP, ROLES)
    assert made["variables_sha256"] == VARIABLES


def test_a_plan_pins_host_package_and_both_versions() -> None:
    made = plan(evidence("web1", updates=[update("bash")]))["hosts"]["web1"]["updates"][0]
    assert {key: made[key] for key in ("package", "from", "to")} == {
        "package": "bash",
        "from": "1",
        "to": "2",
    }


def test_updates_are_in_order_of_package_whatever_order_they_came_in() -> None:
    made = plan(evidence("web1", updates=[update("zsh"), update("bash"), update("curl")]))
    assert [u["package"] for u in made["hosts"]["web1"]["updates"]] == ["bash", "curl", "zsh"]


def test_two_looks_at_an_unchanged_host_give_the_same_plan() -> None:
    first = evidence("web1", updates=[update("zsh"), update("bash")], index={"seconds": 1.2}, free_bytes=10)
    second = evidence("web1", updates=[update("bash"), update("zsh")], index={"seconds": 9.9}, free_bytes=99)
    assert digest_of(plan(first)) == digest_of(plan(second))


@pytest.mark.parametrize("field", ["from", "to", "package", "kind"])
def test_another_version_is_another_plan(field: str) -> None:
    both = [update("bash"), update("bash") | {field: "other"}]
    digests = {digest_of(plan(evidence("web1", updates=[one]))) for one in both}
    assert len(digests) == 2


def test_other_roles_or_variables_are_another_plan() -> None:
    others = (ActsBy(ROLES, VARIABLES), ActsBy("c" * 64, VARIABLES), ActsBy(ROLES, {"web1": "d" * 64}))
    assert len({digest_of(make_plan("run-1", SOP, acts_by, [])) for acts_by in others}) == len(others)


@pytest.mark.parametrize("status", ["failed", "unreachable", "unknown"])
def test_a_host_without_an_answer_is_not_planned_and_says_why(status: str) -> None:
    assert plan(evidence("web1", status))["not_planned"] == {"web1": f"{status}: no answer"}


def test_a_host_whose_roles_told_no_updates_is_not_planned() -> None:
    silent = {"host": "web1", "status": "ok", "results": {}, "failure": None}
    assert plan(silent)["not_planned"] == {"web1": "ok: no list of updates came back"}


ODD = {
    "text instead of updates": {"updates": "bash"},
    "updates that are words": {"updates": ["bash"]},
    "an update without a version": {"updates": [{"package": "bash", "from": "1", "kind": "security"}]},
    "a package that is a number": {"updates": [update("x") | {"package": 7}]},
    "an architecture that is a number": {"updates": [update("bash", architecture=64), update("bash")]},
    "a reboot that is a word": {"updates": [update("bash")], "reboot": "yes"},
    "an antivirus that is a list": {"updates": [update("bash")], "antivirus": ["clamav"]},
}


@pytest.mark.parametrize("case", ODD)
def test_a_host_that_sends_nonsense_is_not_planned_and_stops_no_other(case: str) -> None:
    made = plan(evidence("odd", **ODD[case]), evidence("web1", updates=[update("bash")]))
    assert (made["not_planned"], list(made["hosts"])) == (
        {"odd": "failed: its list of updates cannot be read"},
        ["web1"],
    )


def test_hosts_to_change_are_those_with_an_update() -> None:
    made = plan(evidence("web1", updates=[update("bash")]), evidence("db1"))
    assert hosts_to_change(made) == ["web1"]


@pytest.mark.parametrize(
    ("antivirus", "hosts"),
    [
        (None, []),
        ({"update_pending": False}, []),
        ({"update_pending": None}, []),
        ({"update_pending": True}, ["db1"]),
    ],
)
def test_a_pending_antivirus_database_alone_is_something_to_do(
    antivirus: dict[str, Any] | None, hosts: list[str]
) -> None:
    assert hosts_to_change(plan(evidence("db1", antivirus=antivirus))) == hosts


@pytest.mark.parametrize(("told", "kept"), [(["a: half"], ["a: half"]), ("nonsense", []), (None, [])])
def test_what_is_not_sound_before_the_change_stands_in_the_plan(told: object, kept: list[str]) -> None:
    """An official decides knowing it; a host that sends something else tells nothing."""
    assert plan(evidence("web1", dpkg_audit=told))["hosts"]["web1"]["dpkg_audit"] == kept
