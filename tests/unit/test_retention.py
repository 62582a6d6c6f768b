"""What a policy may let go of: never what is newest, proven, of an open run, or kept by the office."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from role_modules import shared

retention = shared("back_up_host_retention")
restic = shared("back_up_host_restic")


def snapshot(number: int, *tags: str) -> dict[str, Any]:
    return {"id": f"{number:064x}", "time": f"2026-11-{number:02}T00:00:00Z", "tags": list(tags) or None}


def answer(*remove: int, keep: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    tagged = {2: "run-open", 3: "run-kept"}
    made = {n: snapshot(n, *([tagged[n]] if n in tagged else [])) for n in (*remove, *keep)}
    return [{"keep": [made[n] for n in keep], "remove": [made[n] for n in remove]}]


def numbers(told: list[dict[str, Any]]) -> list[int]:
    return [int(one["id"], 16) for one in told]


def test_only_what_nobody_needs_is_let_go_of() -> None:
    found = retention.judged(answer(1, 2, 3, 4, 5, keep=(6,)), f"{4:064x}", ["run-open"], ["run-kept"])

    assert numbers(found["removals"]) == [5, 1]
    assert {int(one["id"], 16): one["reason"] for one in found["keep"]} == {
        6: "the policy keeps it",
        4: "it is the newest one that was proven by a restore",
        3: "the office keeps it",
        2: "an open run refers to it",
    }


def test_the_newest_stays_even_when_the_policy_would_let_it_go() -> None:
    found = retention.judged(answer(1, 2), "", [], [])

    assert (numbers(found["removals"]), numbers(found["keep"])) == ([1], [2])


def test_the_time_of_a_snapshot_keeps_its_distance_from_utc() -> None:
    made = snapshot(1) | {"time": "2026-11-01T09:30:05.123456789+09:00"}
    found = retention.judged([{"keep": [made]}], "", [], [])

    assert found["keep"][0]["time"] == "2026-11-01T09:30:05+09:00"


@pytest.mark.parametrize(
    ("policy", "said"),
    [({}, "keeps nothing"), ({"daily": 0}, "keeps nothing"), ({"dayly": 3}, "does not know dayly"),
     ({"within": "30 days"}, "no duration"), ({"within": "-1d", "last": 1}, "no duration")],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(restic.BackupError, match=said):
        retention.policy_flags(policy)


def test_a_policy_becomes_restic_s_options() -> None:
    flags = retention.policy_flags({"within": "1y6m", "monthly": 24, "daily": 14})

    assert flags == ["--keep-daily=14", "--keep-monthly=24", "--keep-within=1y6m"]


class Repository:
    """restic as far as removing asks it; what it was told is kept."""

    def __init__(self, *remove: int, keep: tuple[int, ...] = ()) -> None:
        self.remove, self.keep = remove, keep
        self.told: list[tuple[str, ...]] = []

    def require(self, _what: str, verb: str, *arguments: str) -> str:
        if "--dry-run" not in arguments:
            self.told.append((verb, *arguments))
        if verb == "forget" and "--dry-run" not in arguments:
            self.remove = tuple(n for n in self.remove if f"{n:064x}" not in arguments)
        return json.dumps(answer(*self.remove, keep=self.keep))


def approved(tmp_path: Path, *ids: str, check_mode: bool = False, action: str = "") -> dict[str, Any]:
    return {"approved": list(ids), "check_mode": check_mode, "action": action, "directory": str(tmp_path),
            "host": "web1", "policy": {"last": 1}, "open_runs": [], "keep_tags": []}  # fmt: skip


def test_exactly_the_approved_ones_go_and_then_the_repository_is_checked(tmp_path: Path) -> None:
    repository, evidence = Repository(1, 2, keep=(6,)), {}

    retention.remove(repository, approved(tmp_path, f"{1:064x}"), evidence)
    retention.remove(repository, approved(tmp_path, f"{1:064x}"), {})

    assert [told[0] for told in repository.told] == ["forget", "prune", "check"]
    assert repository.told[0] == ("forget", f"{1:064x}")
    assert (evidence["removed"], evidence["check"]) == ([f"{1:064x}"], "ok")


@pytest.mark.parametrize("wrong", [f"{6:064x}", "latest", "--help", f"{1:063x}"])
def test_one_that_may_not_go_keeps_all_others(tmp_path: Path, wrong: str) -> None:
    repository = Repository(1, keep=(6,))

    with pytest.raises(restic.BackupError, match="nothing was removed"):
        retention.remove(repository, approved(tmp_path, f"{1:064x}", wrong), {})

    assert repository.told == []


class Refusing(Repository):
    """A repository whose server stops removing after the first ones."""

    def __init__(self, words: str, *remove: int, goes_first: int = 0) -> None:
        super().__init__(*remove, keep=(6,))
        self.words, self.goes_first = words, goes_first

    def require(self, what: str, verb: str, *arguments: str) -> str:
        if verb == "forget" and "--dry-run" not in arguments:
            self.remove = self.remove[self.goes_first :]
            raise restic.BackupError(f"{what}: {self.words} (restic forget ended with 1)")
        return super().require(what, verb, *arguments)


def test_an_append_only_server_is_told_as_one(tmp_path: Path) -> None:
    evidence: dict[str, Any] = {}

    with pytest.raises(restic.BackupError, match="the server is append-only"):
        retention.remove(
            Refusing("the backup server forbids this", 1, 2), approved(tmp_path, f"{1:064x}"), evidence
        )

    assert (evidence["removed"], evidence["pending"]) == ([], 1)


def test_what_went_before_removing_failed_is_told_as_removed(tmp_path: Path) -> None:
    evidence: dict[str, Any] = {}

    with pytest.raises(restic.BackupError, match="cannot be removed: the link broke"):
        retention.remove(
            Refusing("the link broke", 1, 2, goes_first=1),
            approved(tmp_path, f"{1:064x}", f"{2:064x}"),
            evidence,
        )

    assert evidence["removed"] == [f"{1:064x}"]


def test_check_mode_removes_nothing(tmp_path: Path) -> None:
    repository, evidence = Repository(1, keep=(6,)), {}

    retention.remove(repository, approved(tmp_path, f"{1:064x}", check_mode=True), evidence)

    assert (repository.told, evidence["pending"]) == ([], 1)


class Cut(Repository):
    """A repository of which the first call's end is cut off once it has removed, before it frees."""

    def require(self, what: str, verb: str, *arguments: str) -> str:
        if verb == "prune" and not any(told[0] == "prune" for told in self.told):
            self.told.append((verb,))
            raise KeyboardInterrupt
        return super().require(what, verb, *arguments)


def test_a_second_call_tells_what_the_first_removed_and_finishes_its_work(tmp_path: Path) -> None:
    repository, evidence = Cut(1, 2, keep=(6,)), {}
    given = approved(tmp_path, f"{1:064x}", action="run-1/6-1-1")
    with pytest.raises(KeyboardInterrupt):
        retention.remove(repository, given, {})

    retention.remove(repository, given, evidence)

    assert [told[0] for told in repository.told] == ["forget", "prune", "prune", "check"]
    assert (evidence["removed"], evidence["pending"], evidence["check"]) == ([f"{1:064x}"], 0, "ok")


def test_a_second_call_after_the_end_tells_the_same_and_asks_for_nothing(tmp_path: Path) -> None:
    repository, first, second = Repository(1, 2, keep=(6,)), {}, {}
    given = approved(tmp_path, f"{1:064x}", action="run-1/6-1-1")
    retention.remove(repository, given, first)
    told = list(repository.told)

    retention.remove(repository, given, second)

    assert repository.told == told
    assert (second["removed"], second["check"]) == (first["removed"], "ok") == ([f"{1:064x}"], "ok")


def test_another_part_of_the_run_does_not_tell_it_as_its_own(tmp_path: Path) -> None:
    repository, evidence = Repository(1, 2, keep=(6,)), {}
    retention.remove(repository, approved(tmp_path, f"{1:064x}", action="run-1/6-1-1"), {})

    retention.remove(repository, approved(tmp_path, f"{1:064x}", action="run-2/6-1-1"), evidence)

    assert (evidence["removed"], evidence["check"]) == ([], "")
