"""Going back by a snapshot: what is mounted, when a root can be exchanged, and what officials are told."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from role_modules import module, shared

from runner import screens
from runner.host_facts import HostFacts

snapshots, mounted, volumes = shared("root_snapshot"), shared("mounted"), shared("root_volume")

TABLE = """\
22 1 0:20 /@rootfs / rw,relatime shared:1 - btrfs /dev/sda2 rw,space_cache=v2,subvolid=256,subvol=/@rootfs
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 8:1 / /boot rw,relatime shared:2 - ext4 /dev/sda1 ro,errors=remount-ro
25 22 0:30 / /srv/arsip\\040lama ro,nodev - nfs4 server:/arsip rw
26 22 0:31 / /run/user/0 rw - tmpfs tmpfs rw
27 22 0:32 / /run/media/usb rw - vfat /dev/sdb1 rw
broken
28 25 0:33 / /srv/arsip\\040lama rw - xfs /dev/sdc1 rw
"""


def test_the_kernel_s_table_is_read_with_blanks_covered_places_and_both_kinds_of_read_only() -> None:
    found = mounted.parse(TABLE)

    assert [(m.place, m.kind, m.is_read_only) for m in mounted.of_the_host(found)] == [
        ("/", "btrfs", False),
        ("/boot", "ext4", True),
        ("/srv/arsip lama", "xfs", False),
    ]
    assert (found["/"].root, found["/"].source) == ("/@rootfs", "/dev/sda2")
    assert snapshots.not_covered(found) == ["/boot", "/srv/arsip lama"]


def root(kind: str = "btrfs", path: str = "/@rootfs") -> Any:  # noqa: ANN401 - loaded at run time
    return mounted.Mount("/", path, kind, "/dev/sda2", is_read_only=False)


@pytest.mark.parametrize(
    ("choice", "is_controller", "mount", "why_not"),
    [
        ("return", False, root("ext4"), "the root file system is ext4, of which no snapshot is taken"),
        ("none", False, root(), "the inventory asks for none"),
        ("return", True, root(), "Rawat runs on this machine: its own record would be taken back"),
        ("keep", False, root(path="/"), "the root is the top of its file system, which cannot be exchanged"),
        ("return", False, root(), ""),
        ("keep", False, root(), ""),
    ],
)
def test_what_is_promised(
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    is_controller: bool,  # noqa: FBT001 - a column of the table
    mount: Any,  # noqa: ANN401 - loaded at run time
    why_not: str,
) -> None:
    # The machine of the tests is not on btrfs: what the real host says is tried on one in the campaign.
    monkeypatch.setattr(mounted, "read", lambda: {"/": mount})
    monkeypatch.setattr(snapshots, "_whole", lambda _root: "")
    monkeypatch.setattr(volumes, "is_one", lambda: False)
    monkeypatch.setattr(snapshots.shutil, "which", lambda _name: "/usr/bin/btrfs")

    told = snapshots.look(choice, "run-1", 0, is_controller=is_controller)

    assert (told["why_not"], told["taken"]) == (why_not, not why_not)
    assert told["returns"] == (not why_not and choice == "return")


@pytest.mark.parametrize(
    ("started", "age_days", "is_removed"),
    [("ended", 8, True), ("ended", 6, False), ("open", 400, False)],
)
def test_only_what_ended_runs_left_long_enough_is_removed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    started: str,
    age_days: int,
    is_removed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    folder = snapshots.folder_of(tmp_path, "run-1")
    (folder / "before").mkdir(parents=True)
    told = {"run": "run-1", "started": started, "taken": time.time() - age_days * 86400 - 60}
    (folder / "record.json").write_text(json.dumps(told))
    (tmp_path / snapshots.FOLDER / "foreign").mkdir()
    monkeypatch.setattr(snapshots, "delete", lambda _top, subvolume: subvolume.rmdir())

    (kept,) = snapshots.sweep(tmp_path, "run-2", ["ended"], 7, is_check=False)

    assert (kept.run, kept.days, kept.is_removed) == ("run-1", age_days, is_removed)
    assert folder.exists() != is_removed
    assert snapshots.sweep(tmp_path, "run-1", ["ended"], 0, is_check=False) == []


def test_a_snapshot_after_the_first_change_is_none_from_before(tmp_path: Path) -> None:
    with pytest.raises(snapshots.SnapshotError, match="installed already"):
        snapshots.take(tmp_path, root(), "run-1", "", is_fresh=False)
    (snapshots.folder_of(tmp_path, "run-1") / "before").mkdir(parents=True)
    assert not snapshots.take(tmp_path, root(), "run-1", "", is_fresh=False)


def test_an_exchange_tells_what_it_leaves() -> None:
    outside = [{"path": "/boot", "reason": "apart"}]

    told = module("return_to_snapshot").exchanged("rawat-snapshots/r/replaced-1", outside, "returned")

    assert [item["path"] for item in told["not_undone"]] == ["/", "/boot"]
    assert "rawat-snapshots/r/replaced-1" in told["not_undone"][0]["reason"]


def shown(snapshot: dict[str, Any]) -> str:
    update = {"package": "p", "from": "1", "to": "2", "kind": "security", "cves": []}
    entry = {"updates": [update], "reboot": {"expected": False, "because": []}, "snapshot": snapshot}
    screen = Console(file=io.StringIO(), width=400)
    for part in screens.plan_view({"hosts": {"web1": entry}, "not_planned": {}}):
        screen.print(part)
    told: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return told


def test_the_gate_shows_what_going_back_takes_back() -> None:
    taken = {"file_system": "btrfs", "taken": True, "returns": True, "not_covered": ["/boot\x1b[2J"]}

    assert "takes back whatever was written to the root since; not part of it: /boot" in shown(taken)
    assert "\x1b" not in shown(taken)
    assert "a rollback does not go back by it" in shown(taken | {"returns": False})
    assert "no snapshot of its root is taken: reason" in shown(
        {"file_system": "btrfs", "taken": False, "why_not": "reason"}
    )
    assert "snapshot" not in shown({"file_system": "ext4", "taken": False, "why_not": "ext4"})
    assert "no snapshot of its root is taken: reason" in shown(
        {"file_system": "ext4", "volume": "kantor/root", "taken": False, "why_not": "reason"}
    )


def test_with_the_root_every_change_is_taken_back() -> None:
    told = {
        "host": "web1",
        "changes": [{"package": "p", "from": "1", "to": "2"}],
        "returned": {"outcome": "returned", "not_undone": []},
        "rollback": {"outcome": "nothing to undo"},
    }

    facts = HostFacts.model_validate(told)

    assert [(c.package, c.from_, c.to) for c in facts.taken_back] == [("p", "2", "1")]
    assert facts.undone == {"p"}
    other = HostFacts.model_validate(told | {"returned": {"outcome": "not possible", "reason": "x"}})
    assert other.undone == frozenset()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"/srv": None}, [("/srv", "gone")]),
        ({"/srv": {"read_only": True}}, [("/srv", "read-only")]),
        ({"/srv": {"kind": "nfs4"}}, [("/srv", "other kind")]),
        # Read-only before, and what has come since, are no difference.
        ({"/boot": {"read_only": False}, "/new": {"place": "/new", "kind": "xfs", "read_only": False}}, []),
    ],
)
def test_what_is_mounted_otherwise_than_before(changes: dict[str, Any], said: list[tuple[str, str]]) -> None:
    before = {
        "/boot": {"place": "/boot", "kind": "ext4", "read_only": True},
        "/srv": {"place": "/srv", "kind": "xfs", "read_only": False},
    }
    now = {**before, **{p: {**before.get(p, {}), **new} for p, new in changes.items() if new}}
    gone = {place for place, new in changes.items() if new is None}

    assert mounted.differences([*before.values()], [m for p, m in now.items() if p not in gone]) == said
