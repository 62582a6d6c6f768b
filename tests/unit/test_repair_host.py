"""The role that repairs hosts: what it may ever remove, and when it acts; no host is needed for that."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import ansible.module_utils
import pytest

ROLES = Path(__file__).parents[2] / "roles"
SHARED = [str(ROLES / role / "module_utils") for role in ("plan_updates", "repair_host")]
OLD = 1_600_000_000


@pytest.fixture(scope="module", name="module")
def _module() -> Iterator[ModuleType]:
    """Load the module beside what it shares with others."""
    ansible.module_utils.__path__.extend(SHARED)
    spec = importlib.util.spec_from_file_location(
        "repair_disturbances", ROLES / "repair_host" / "library" / "repair_disturbances.py"
    )
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    yield loaded
    for path in SHARED:
        ansible.module_utils.__path__.remove(path)


@pytest.fixture(name="cures")
def _cures(module: ModuleType) -> ModuleType:
    return module.cures  # type: ignore[no-any-return]


@pytest.fixture(name="looks")
def _looks(module: ModuleType) -> ModuleType:
    return module.looks  # type: ignore[no-any-return]


# What may be removed ------------------------------------------------------------------------------------


@pytest.fixture(name="logs")
def _logs(cures: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder of logs that stands for /var/log."""
    logs = tmp_path / "log"
    logs.mkdir()
    place = cures.PLACES[cures.LOGS][0]._replace(root=str(logs))
    monkeypatch.setitem(cures.PLACES, cures.LOGS, (place,))
    return logs


def written(path: Path, size: int = 100, *, at: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (at, at))
    return path


def offered(looks: ModuleType, logs: Path, days: int = 7) -> list[str]:
    """Return what would be offered for removal, by its path below the logs."""
    cures = looks.cures
    mounts = looks.parse_mounts(f"1 0 8:1 / {logs} rw - ext4 /dev/sda rw\n")
    found = looks.files_in(cures.PLACES[cures.LOGS][0], mounts[str(logs)], mounts, days)
    return [str(Path(file["path"]).relative_to(logs)) for file in found]


def test_rotated_logs_beside_their_log_may_go_and_nothing_else(looks: ModuleType, logs: Path) -> None:
    for name in ("syslog", "a/app.log", "a/b/deep.log", "a/b/c/deeper.log", "auth.log", "wtmp", "report"):
        written(logs / name)
    may_go = [
        "syslog.1",
        "syslog.2.gz",
        "syslog-20200101",
        "syslog-20200101.xz",
        "a/app.log.3",
        "a/b/deep.log.1",
    ]
    stay = [
        *("auth.log.1", "wtmp.1", "a/b/c/deeper.log.1", "orphan.log.1", "report.old", "report.pdf"),
        *("syslog.1.save", "syslog.20200101.sql", "a/data-20200101", ".syslog.1", "new\nline.1"),
        *("audit/audit.log.1", "apt/history.log.1", "journal/x.1", "private/x.1"),
    ]
    for name in (*may_go, *stay, "audit/audit.log", "apt/history.log", "journal/x", "private/x", "new\nline"):
        written(logs / name)
    written(logs / "syslog.4", at=int(time.time()))

    assert sorted(offered(looks, logs)) == sorted(may_go)
    assert "syslog.4" not in offered(looks, logs)
    assert "syslog.4" in offered(looks, logs, days=0)


def test_links_and_what_is_no_plain_file_are_not_offered(
    looks: ModuleType, logs: Path, tmp_path: Path
) -> None:
    outside = written(tmp_path / "outside" / "app.log.1")
    shared = written(tmp_path / "outside" / "shared")
    written(tmp_path / "outside" / "app.log")
    for name in ("one", "two", "three", "four"):
        written(logs / name)
    (logs / "one.1").symlink_to(outside)
    (logs / "two.1").hardlink_to(shared)
    os.mkfifo(logs / "three.1")
    (logs / "four.1").mkdir()
    (logs / "folder").symlink_to(tmp_path / "outside")
    (logs / "five").symlink_to("/etc/passwd")
    written(logs / "five.1")

    assert offered(looks, logs) == []


def test_a_folder_of_logs_that_is_a_link_is_left_alone(looks: ModuleType, logs: Path, tmp_path: Path) -> None:
    written(logs / "syslog")
    written(logs / "syslog.1")
    moved = logs.rename(tmp_path / "elsewhere")
    logs.symlink_to(moved)
    with pytest.raises(OSError, match="Not a directory"):
        looks.cures.opened(looks.cures.PLACES[looks.cures.LOGS][0], [])
    assert offered(looks, logs) == []


def test_what_lies_on_another_file_system_is_left_alone(looks: ModuleType, logs: Path) -> None:
    for name in ("syslog", "syslog.1", "a/x", "a/x.1"):
        written(logs / name)
    cures = looks.cures
    place = cures.PLACES[cures.LOGS][0]
    lines = f"1 0 8:1 / / rw - ext4 x rw\n2 1 8:2 / {logs} rw - ext4 x rw\n3 1 8:3 / {logs}/a rw - nfs x rw\n"
    mounts = looks.parse_mounts(lines)

    assert looks.files_in(place, mounts["/"], mounts, 7) == []
    found = looks.files_in(place, mounts[str(logs)], mounts, 7)
    assert [file["path"] for file in found] == [f"{logs}/syslog.1"]


def remove(cures: ModuleType, *paths: Path | str, **pins: int) -> int:
    approved = [{"path": str(path), "bytes": 100, "modified": OLD, **pins} for path in paths]
    freed: int = cures.remove_files(cures.LOGS, approved)
    return freed


def test_only_the_approved_file_is_removed_while_it_is_still_the_same(cures: ModuleType, logs: Path) -> None:
    written(logs / "syslog")
    approved, grown, touched, other = (written(logs / f"syslog.{number}") for number in (1, 2, 3, 4))
    written(grown, 101)
    os.utime(touched)
    assert remove(cures, approved, grown, touched, logs / "syslog", logs / "gone.1") > 0
    assert [path.exists() for path in (approved, grown, touched, other)] == [False, True, True, True]


def test_an_approval_cannot_name_a_file_elsewhere(cures: ModuleType, logs: Path, tmp_path: Path) -> None:
    outside = written(tmp_path / "outside" / "app.log.1")
    written(tmp_path / "outside" / "app.log")
    written(logs / "app.log")
    kept = written(logs / "apt" / "history.log.1")
    written(logs / "apt" / "history.log")
    (logs / "way").symlink_to(outside.parent)
    wanted = [
        outside,
        f"{logs}/../outside/app.log.1",
        f"{logs}/way/app.log.1",
        f"{logs}//app.log",
        kept,
        "app.log.1",
    ]

    assert remove(cures, *wanted) == 0
    assert (outside.exists(), kept.exists()) == (True, True)


def test_a_folder_swapped_for_a_link_between_approval_and_cure_saves_what_is_behind_it(
    looks: ModuleType, cures: ModuleType, logs: Path, tmp_path: Path
) -> None:
    for folder in (logs / "app", tmp_path / "victim"):
        written(folder / "app.log")
        written(folder / "app.log.1")
    assert offered(looks, logs) == ["app/app.log.1"]
    (logs / "app").rename(tmp_path / "aside")
    (logs / "app").symlink_to(tmp_path / "victim")

    assert remove(cures, logs / "app" / "app.log.1") == 0
    assert (tmp_path / "victim" / "app.log.1").exists()


# Locks --------------------------------------------------------------------------------------------------


@pytest.fixture(name="lock")
def _lock(cures: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return where a lock of the account files would stand."""
    lock = tmp_path / "passwd.lock"
    monkeypatch.setattr(cures, "LEFTOVER_LOCKS", (str(lock),))
    monkeypatch.setattr(cures, "ACCOUNTS_LOCK", str(tmp_path / ".pwd.lock"))
    monkeypatch.setattr(cures, "LOCK_OWNER", os.geteuid())
    return lock


def dead_process() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.mark.parametrize("said", ["", "{dead}", "{dead}\0", "garbage"])
def test_a_lock_whose_holder_is_gone_is_removed(cures: ModuleType, lock: Path, said: str) -> None:
    lock.write_text(said.format(dead=dead_process()))
    assert cures.leftover(str(lock)) is not None
    cures.remove_lock(str(lock))
    assert not lock.exists()


def test_a_number_given_out_again_is_no_holder(cures: ModuleType, lock: Path) -> None:
    lock.write_text(f"{os.getpid()}\0")
    os.utime(lock, (OLD, OLD))
    assert cures.leftover(str(lock)) == {"holder": str(os.getpid())}


def test_a_living_holder_keeps_his_lock(cures: ModuleType, lock: Path) -> None:
    lock.write_text(f"{os.getpid()}\0")
    with pytest.raises(cures.CannotCureError, match="is alive"):
        cures.remove_lock(str(lock))
    assert lock.exists()


@contextmanager
def held(path: Path | str) -> Iterator[int]:
    """Have another process hold the kernel's lock on a file; its number is given."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        yield holder.pid
        holder.communicate(b"\n")


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print(flush=True)
    input()
"""


def test_no_lock_goes_while_an_account_is_being_changed(
    cures: ModuleType, looks: ModuleType, lock: Path
) -> None:
    lock.write_text("")
    found = looks.Looked("redhat", [], [], [])
    with held(cures.ACCOUNTS_LOCK):
        looks.stale_locks(None, found)
        with pytest.raises(cures.CannotCureError, match="right now"):
            cures.remove_lock(str(lock))
    assert (lock.exists(), found.repairs, cures.is_held(cures.ACCOUNTS_LOCK)) == (True, [], False)
    looks.stale_locks(None, found)
    assert [entry["cure"] for entry in found.repairs] == ["remove_lock"]


def test_no_other_file_is_a_lock(cures: ModuleType, lock: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "group.lock", 0)
    with pytest.raises(cures.CannotCureError, match="no lock that may be removed"):
        cures.remove_lock(str(other))
    lock.symlink_to(other)
    with pytest.raises(cures.CannotCureError, match="no lock file"):
        cures.leftover(str(lock))
    assert other.exists()


@pytest.mark.usefixtures("lock")
def test_a_lock_of_apt_is_told_with_its_holder_and_without_one_is_no_disturbance(
    looks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left = written(tmp_path / "lock-frontend", 0)
    monkeypatch.setattr(looks.packages, "LOCKS", (str(left),))
    monkeypatch.setattr(looks, "LONG_SECONDS", -1)
    found = looks.Looked("debian", [], [], [])
    looks.stale_locks(None, found)
    assert found.repairs == []

    with held(left) as holder:
        looks.stale_locks(None, found)
    told = [(entry["cure"], entry["reason"], entry["detail"]) for entry in found.repairs]
    assert [(cure, reason, detail.split(" (")[0]) for cure, reason, detail in told] == [
        ("", "holder_alive", f"process {holder}")
    ]
    assert left.exists()


def test_package_files_stay_while_dnf_lives(
    cures: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = cures.PLACES[cures.CACHE][1]._replace(root=str(tmp_path))
    monkeypatch.setitem(cures.PLACES, cures.CACHE, (place,))
    monkeypatch.setattr(cures, "DNF_CACHE", tmp_path)
    monkeypatch.setattr(cures, "APT_CACHE_LOCK", str(tmp_path / "none" / "lock"))
    file = written(tmp_path / "lab-1" / "packages" / "a-1.rpm")
    does = {"files": [{"path": str(file), "bytes": 100, "modified": OLD}]}
    lock = tmp_path / "download_lock.pid"

    lock.write_text(str(os.getpid()))
    with pytest.raises(cures.CannotCureError, match="package manager"):
        cures.cure(cures.CACHE, does)
    assert file.exists()
    lock.write_text(str(dead_process()))
    assert cures.cure(cures.CACHE, does) > 0
    assert not file.exists()


# When it acts -------------------------------------------------------------------------------------------

UNIT = {
    "id": "unit_dead:web.service:start_unit",
    "code": "unit_dead",
    "subject": "web.service",
    "found": {"state": "failed"},
    "cure": "start_unit",
    "does": {"unit": "web.service"},
    "reason": "",
    "detail": "",
}
"""An approved cure, as the role proposed it."""


class Field:
    """A host whose looks are told in advance, and that counts what was done to it."""

    def __init__(self, module: ModuleType, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.module, self.patch, self.folder = module, patch, folder
        self.looks: list[list[dict[str, Any]]] = []
        self.unmeasured: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        patch.setattr(module.looks, "look", self._look)
        patch.setattr(module.host_unit, "run_in_unit", self._run)
        patch.setattr(module.host_unit, "is_running", lambda _: False)
        steady = {"NRestarts": "0", "MainPID": "7", "ActiveState": "active", "UnitFileState": "enabled"}
        patch.setattr(module.looks, "unit_told", lambda _: steady)
        patch.setattr(module, "last_words", lambda unit: f"{unit} said no")

    def _look(self, _: object, codes: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - the module's own type
        there = self.looks.pop(0) if codes and len(self.looks) > 1 else self.looks[0]
        return self.module.looks.Looked("debian", there, self.unmeasured, [])

    def _run(self, _unit: str, argv: list[str], **_: object) -> Any:  # noqa: ANN401 - the module's own type
        order = json.loads(Path(argv[-1]).read_text())
        self.orders.append(order)
        marker = Path(order["marker"])
        self.module.cures.note(marker, order["id"], {"outcome": "ended", "tries": 1, "problem": ""})
        return self.module.packages.Finished(0, "")

    def act(self, *approved: dict[str, Any], check_mode: bool = False, **given: object) -> dict[str, Any]:
        parameters = {
            "run": "run-1",
            "action": "4-1-main",
            "allowed": ["start_unit"],
            "reattach": False,
            "state_directory": str(self.folder),
            "approved": list(approved),
            "timeout": 1,
            **dict.fromkeys(("lock_timeout", "settle", "sync_timeout"), 0),
            **given,
        }
        certificate = {"path": "/srv/x.pem", "hook": ["/srv/renew"]}
        wanted = self.module.looks.Wanted(("web.service",), (certificate,), 0, False, "", 95, 1, 7)  # noqa: FBT003
        evidence, failure = self.module.act(self.module.Host(parameters, wanted, check_mode=check_mode))
        assert bool(failure) == (evidence["outcome"] == "failed")
        told: dict[str, Any] = evidence
        return told

    def outcome(self, *approved: dict[str, Any], **given: Any) -> tuple[str, str]:  # noqa: ANN401 - any input
        evidence = self.act(*approved, **given)
        return evidence["cures"][0]["outcome"], evidence["cures"][0]["reason"]


@pytest.fixture(name="field")
def _field(module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Field:
    return Field(module, monkeypatch, tmp_path / "rawat")


def test_a_cure_is_done_when_the_disturbance_is_gone_afterwards(field: Field) -> None:
    field.looks = [[UNIT], []]
    assert field.outcome(UNIT) == ("done", "")
    assert [order["does"] for order in field.orders] == [{"unit": "web.service"}]


def test_a_cure_after_which_it_is_still_there_has_failed(field: Field) -> None:
    field.looks = [[UNIT], [UNIT]]
    assert field.outcome(UNIT) == ("failed", "still_there")


def test_what_is_gone_already_is_not_needed(field: Field) -> None:
    field.looks = [[]]
    assert (field.outcome(UNIT), field.orders) == (("not needed", ""), [])


def test_what_cannot_be_looked_at_is_not_gone(field: Field) -> None:
    field.looks = [[]]
    field.unmeasured = [{"code": "unit_dead", "subject": "", "reason": "no_answer", "detail": ""}]
    assert (field.outcome(UNIT), field.orders) == (("failed", "no_answer"), [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"allowed": []}, ("not allowed", "not_allowed")),
        ({"allowed": ["remove_lock"]}, ("not allowed", "not_allowed")),
        ({"reattach": True}, ("failed", "not_begun")),
        ({"check_mode": True}, ("not done (check mode)", "")),
    ],
)
def test_nothing_is_begun(field: Field, given: dict[str, Any], expected: tuple[str, str]) -> None:
    field.looks = [[UNIT]]
    assert (field.outcome(UNIT, **given), field.orders) == (expected, [])
    assert not field.folder.exists()


def test_a_unit_that_the_office_no_longer_expects_is_not_taken_for_well(field: Field) -> None:
    field.looks = [[]]
    other = {**UNIT, "subject": "other.service", "does": {"unit": "other.service"}}
    assert (field.outcome(other), field.orders) == (("failed", "not_expected"), [])


def test_a_cure_done_in_this_action_is_not_done_again(field: Field) -> None:
    field.looks = [[UNIT], [UNIT], [UNIT]]
    field.act(UNIT)
    assert (field.outcome(UNIT), len(field.orders)) == (("failed", "tried_already"), 1)
    field.looks = [[UNIT], []]
    assert (field.outcome(UNIT, action="4-2-main"), len(field.orders)) == (("done", ""), 2)


def test_work_whose_answer_was_lost_is_told_as_done(field: Field) -> None:
    field.looks = [[UNIT], []]
    field.act(UNIT)
    field.looks = [[]]
    assert (field.outcome(UNIT, reattach=True), len(field.orders)) == (("done", ""), 1)


CERTIFICATE = {
    **UNIT,
    "id": "certificate_expired:/srv/x.pem:renew_certificate",
    "code": "certificate_expired",
    "subject": "/srv/x.pem",
    "cure": "renew_certificate",
    "does": {"hook": ["/srv/renew"], "sha256": "a" * 64},
}


@pytest.mark.parametrize(("entry", "again"), [(UNIT, True), (CERTIFICATE, False)], ids=["unit", "program"])
def test_work_that_broke_off_is_done_again_unless_it_is_a_program_of_the_office(
    field: Field, entry: dict[str, Any], *, again: bool
) -> None:
    field.looks = [[entry], [] if again else [entry]]
    host = field.module.Host(
        {"run": "run-1", "action": "4-1-main", "state_directory": str(field.folder), "approved": [entry]},
        None,
        check_mode=False,
    )
    host.directory.mkdir(parents=True)
    field.module.cures.note(host.marker, entry["id"], {"outcome": "begun", "boot_id": "other", "tries": 1})
    outcome = field.outcome(entry, allowed=[entry["cure"]])
    assert (outcome, len(field.orders)) == ((("done", ""), 1) if again else (("failed", "broke_off"), 0))


PACKAGES = {
    **UNIT,
    "id": "packages_unfinished:dpkg:configure_packages",
    "code": "packages_unfinished",
    "subject": "dpkg",
    "cure": "configure_packages",
    "does": {"packages": [{"package": "a", "version": "1", "state": "iF"}]},
}


@pytest.mark.parametrize(
    ("approved", "found"),
    [
        (CERTIFICATE, {"hook": ["/srv/renew"], "sha256": "b" * 64}),
        (CERTIFICATE, {"hook": ["/srv/other"], "sha256": "a" * 64}),
        (UNIT, {"unit": "other.service"}),
        (PACKAGES, {"packages": [{"package": "a", "version": "2", "state": "iU"}]}),
        (PACKAGES, {"packages": [*PACKAGES["does"]["packages"], {"package": "b", "version": "1"}]}),
    ],
)
def test_what_would_now_be_done_otherwise_is_refused(
    module: ModuleType, approved: dict[str, Any], found: dict[str, Any]
) -> None:
    told = module.refused(approved, [{**approved, "does": found}])
    assert (told["outcome"], told["reason"]) == ("failed", "not_as_approved")
    assert module.refused(approved, [approved]) is None


def test_packages_finished_meanwhile_are_no_drift(module: ModuleType) -> None:
    assert module.refused(PACKAGES, [{**PACKAGES, "does": {"packages": []}}]) is None


def test_an_approval_without_a_cure_is_refused_with_its_reason(module: ModuleType) -> None:
    there = {**UNIT, "cure": "", "reason": "unit_masked", "detail": ""}
    assert module.refused(there, [there])["reason"] == "unit_masked"
    assert module.refused(UNIT, [there])["reason"] == "unit_masked"


def test_the_rest_of_a_disk_s_cures_counts_when_one_was_enough(module: ModuleType) -> None:
    def disk(outcome: str, reason: str = "", subject: str = "/") -> dict[str, Any]:
        return {"code": "disk_full", "subject": subject, "outcome": outcome, "reason": reason, "detail": ""}

    cures = [disk("failed", "not_enough"), disk("done"), disk("failed", "not_enough", "/srv")]
    module.settle_disks(cures)
    assert [cure["outcome"] for cure in cures] == ["done", "done", "failed"]
