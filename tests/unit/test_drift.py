"""What counts as a difference between the approved plan and a host as it is now."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import update

from runner import drift
from runner.plan import ActsBy, make_plan

ACTS_BY = ActsBy("b", {})


def host(name: str = "web1", status: str = "ok", **probed: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    found = {"updates": [update("lab-good")], "reboot": {"expected": False, "because": []}, **probed}
    failure = None if status == "ok" else {"task": "probe", "message": "away"}
    return {"host": name, "status": status, "failure": failure, "results": {"plan_updates": found}}


def entry(**probed: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    made: dict[str, Any] = make_plan("run", "a", ACTS_BY, [host(**probed)])["hosts"]["web1"]
    return made


def newer(package: str = "lab-good", **fields: str) -> dict[str, Any]:
    return {**update(package), "to": "1.0-1+deb12u2", **fields}


def test_an_unchanged_host_does_not_differ() -> None:
    assert drift.between(entry(), entry()) is None


def test_a_newer_version_on_the_mirror_differs() -> None:
    told = drift.between(entry(), entry(updates=[newer()]))
    assert told is not None
    (changed,) = told["changed"]
    assert (changed["approved"]["to"], changed["found"]["to"]) == ("1.0-1+deb12u1", "1.0-1+deb12u2")


def test_a_package_updated_by_hand_differs() -> None:
    told = drift.between(entry(), entry(updates=[]))
    assert told is not None
    assert [gone["package"] for gone in told["gone"]] == ["lab-good"]


def test_a_package_installed_in_another_version_differs() -> None:
    told = drift.between(entry(), entry(updates=[{**update("lab-good"), "from": "0.9-1"}]))
    assert told is not None
    assert told["changed"][0]["found"]["from"] == "0.9-1"


def test_an_update_nobody_approved_differs() -> None:
    told = drift.between(entry(), entry(updates=[update("lab-good"), update("openssl")]))
    assert told is not None
    assert [come["package"] for come in told["appeared"]] == ["openssl"]


def test_the_same_package_of_two_architectures_is_two_updates() -> None:
    both = [update("libc6"), {**update("libc6"), "architecture": "i386"}]
    told = drift.between(entry(updates=both), entry(updates=both[:1]))
    assert told is not None
    assert [gone["architecture"] for gone in told["gone"]] == ["i386"]


def test_another_new_package_differs() -> None:
    come = [{"package": "lab-dep", "to": "2.0", "needed_by": "lab-good"}]
    told = drift.between(entry(new_packages=[]), entry(new_packages=come))
    assert told is not None
    assert told["new_packages"] == {"approved": [], "found": ["lab-dep 2.0"]}


def test_only_a_reboot_that_was_not_approved_differs() -> None:
    without, needed = (entry(reboot={"expected": expected, "because": []}) for expected in (False, True))
    assert drift.between(without, needed) is not None
    assert drift.between(needed, without) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"antivirus": {"product": "ClamAV", "database_offered": "9", "update_pending": True}},
        {"held": [{"package": "nginx", "installed": "1", "candidate": "3"}]},
        {"kept_back": [{"package": "linux", "from": "1", "to": "2", "reason": "new"}]},
    ],
)
def test_what_is_not_installed_from_the_list_does_not_differ(fields: dict[str, Any]) -> None:
    assert drift.between(entry(), entry(**fields)) is None


def test_what_this_run_installed_itself_is_no_drift() -> None:
    come = [{"package": "lab-dep", "to": "2.0"}]
    approved = entry(new_packages=come)
    assert drift.between(approved, entry(updates=[], new_packages=[]), ours=True) is None
    assert drift.between(approved, entry(updates=[newer()]), ours=True) is not None


def test_hosts_that_could_not_be_asked_are_neither_alike_nor_different() -> None:
    plan = make_plan("run", "a", ACTS_BY, [host("web1"), host("web2"), host("web3")])
    now = [host("web1"), host("web2", updates=[newer()]), host("web3", status="unreachable")]
    alike, differing = drift.of_hosts(plan, now, ())
    assert (alike, list(differing)) == (("web1",), ["web2"])


def test_plans_are_compared_host_by_host() -> None:
    old = make_plan("run", "a", ACTS_BY, [host("web1"), host("web2"), host("web3")])
    new = make_plan(
        "run",
        "a",
        ACTS_BY,
        [host("web1"), host("web2", updates=[]), host("web3", status="unreachable"), host("web4")],
    )
    told = drift.of_plans(old, new)
    assert list(told) == ["web2", "web4", "web3"]
    assert (told["web4"], told["web3"]) == ("added", "left out: unreachable: away")
