"""Going back on LVM: what is read off the list of volumes, what is promised, and how far a host is.

The volumes are in memory here; tests/campaign/ladder/test_lvm.py has a host that boots from real ones.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from role_modules import module, shared

from runner import report

volumes, rules = shared("root_volume"), shared("snapshot_rules")

RUN, MIB = "2026-11-22-run-1", 2**20
ENDED = "a" * 64


def row(name: str, **more: str) -> dict[str, str]:
    """Return a row of the report of ``lvs`` as LVM 2.03 writes it."""
    ordinary = {
        "vg_name": "kantor", "vg_free": str(2000 * MIB), "vg_extent_size": str(4 * MIB), "lv_name": name,
        "lv_layout": "linear", "lv_size": str(1500 * MIB), "lv_tags": "", "lv_merging": "",
        "lv_snapshot_invalid": "",
        "lv_kernel_major": "254", "lv_kernel_minor": "9",
    }  # fmt: skip
    return ordinary | more


@dataclass
class Disk:
    """A volume group in memory: its rows, what the kernel makes of the root, and what was asked of LVM."""

    rows: dict[str, dict[str, str]]
    table: str = "0 3072000 linear 98:0 2048"
    asked: list[tuple[str, ...]] = field(default_factory=list)
    refused: str = ""

    def require(self, _what: str, *words: str) -> str:
        """Answer as LVM's programs do; what is asked of them is kept."""
        self.asked.append(words)
        if words[0] == self.refused:
            raise rules.SnapshotError(f"{self.refused} refuses")
        if words[0] == "lvs":
            warned = "  WARNING: File descriptor 5 leaked on lvs invocation.\n"
            return warned + json.dumps({"report": [{"lv": list(self.rows.values())}]})
        if words[0] == "dmsetup":
            return self.table
        return self.change(words)

    def change(self, words: tuple[str, ...]) -> str:
        """Do what a program does to the group."""
        name = words[-1].partition("/")[2]
        match words[0]:
            case "lvcreate":
                tags = [word for before, word in pairwise(words) if before == "--addtag"]
                new = words[words.index("--name") + 1]
                self.rows[new] = row(
                    new, lv_tags=",".join(tags), lv_size=words[words.index("--size") + 1][:-1]
                )
            case "lvremove":
                del self.rows[name]
            case "lvconvert":
                self.rows[name] |= {"lv_merging": "merging", "lv_name": f"[{name}]"}
            case "lvchange":
                tags = [tag for tag in self.rows[name]["lv_tags"].split(",") if tag not in words]
                added = [word for before, word in pairwise(words) if before == "--addtag"]
                self.rows[name]["lv_tags"] = ",".join(filter(None, [*tags, *added]))
        return ""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a group with the root's volume alone; the host starts from it."""
    made = Disk({"root": row("root", lv_kernel_minor="0")})
    monkeypatch.setattr(rules, "require", made.require)
    monkeypatch.setattr(rules, "device", lambda _place: 254 << 8)
    monkeypatch.setattr(rules, "boot_digest", lambda: "b" * 64)
    monkeypatch.setattr(volumes, "is_one", lambda: True)
    monkeypatch.setattr(volumes.shutil, "which", lambda _name: "/sbin/lvs")
    monkeypatch.setattr(volumes, "_STARTERS", ("/",))
    monkeypatch.setattr(volumes, "boot_id", lambda: "boot-1")
    return made


def took(room: int = 600 * MIB) -> bool:
    """Take the run's snapshot before anything is installed."""
    made: bool = volumes.take(volumes.of_root(), RUN, ENDED, is_fresh=True, room_bytes=room)
    return made


def restarted(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host start again: what LVM was told comes into effect."""
    disk.table = "0 3072000 snapshot-merge 254:3 254:4 P 8"
    monkeypatch.setattr(volumes, "boot_id", lambda: "boot-2")


def state() -> str:
    told: str = volumes.state(volumes.of_root(), RUN)
    return told


def test_a_host_goes_back_through_all_its_states(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state() == "none"
    assert took()
    assert state() == "before"
    left = volumes.go_back(volumes.of_root(), RUN)
    assert (state(), left) == ("exchanged", f"kantor/rawat-{RUN}-replaced-1")
    restarted(disk, monkeypatch)
    assert state() == "returned"
    # LVM removes what is merged to the end; the root as it was left stays, and the kernel tells of that.
    del disk.rows[f"rawat-{RUN}"]
    disk.table = "0 3072000 snapshot-origin 254:3"
    assert state() == "returned"
    assert volumes.replaced(volumes.of_root(), RUN) == left

    # Tried again in the same run: the next snapshot is not yet gone back to.
    assert took()
    assert state() == "before"
    del disk.rows[f"rawat-{RUN}"]
    assert state() == "none"


def test_without_a_restart_nothing_is_returned_even_where_the_snapshot_is_gone(disk: Disk) -> None:
    took()
    volumes.go_back(volumes.of_root(), RUN)
    del disk.rows[f"rawat-{RUN}"]
    assert state() == "none"


def test_what_is_to_be_kept_is_a_snapshot_of_its_own_of_the_same_size_made_before(disk: Disk) -> None:
    took(700 * MIB)
    disk.asked.clear()

    volumes.go_back(volumes.of_root(), RUN)

    done = [words[0] for words in disk.asked if words[0] != "lvs"]
    assert done == ["lvcreate", "lvchange", "lvconvert"]
    assert disk.rows[f"rawat-{RUN}-replaced-1"]["lv_size"] == str(700 * MIB)


@pytest.mark.parametrize("program", ["lvconvert", "lvchange", "lvcreate"])
def test_a_refusal_leaves_everything_as_it_was(disk: Disk, program: str) -> None:
    took()
    before = json.dumps(disk.rows)
    disk.refused = program
    with pytest.raises(rules.SnapshotError, match="refuses"):
        volumes.go_back(volumes.of_root(), RUN)

    assert json.dumps(disk.rows) == before


def test_a_later_call_keeps_the_snapshot_from_before(disk: Disk) -> None:
    took()
    taken = dict(disk.rows)
    assert not volumes.take(volumes.of_root(), RUN, ENDED, is_fresh=False, room_bytes=MIB)
    assert disk.rows == taken
    del disk.rows[f"rawat-{RUN}"]
    with pytest.raises(rules.SnapshotError, match="installed already"):
        volumes.take(volumes.of_root(), RUN, ENDED, is_fresh=False, room_bytes=MIB)


def test_a_snapshot_is_made_anew_where_the_host_is_as_before_again(disk: Disk) -> None:
    took(600 * MIB)
    took(700 * MIB)
    assert disk.rows[f"rawat-{RUN}"]["lv_size"] == str(700 * MIB)


@pytest.mark.parametrize(
    ("root", "others", "why_not"),
    [
        ({}, {}, ""),
        ({"lv_layout": "striped"}, {}, ""),
        (
            {"lv_layout": "thin,sparse"},
            {},
            "the root's volume is of another kind (thin,sparse), which is not",
        ),
        ({"vg_free": str(1199 * MIB)}, {}, "the volume group kantor has less than 1200 MiB free"),
        ({"vg_free": str(600 * MIB)}, {f"rawat.before.{RUN}": "600"}, ""),
        ({"vg_free": str(599 * MIB)}, {f"rawat.before.{RUN}": "600"}, "less than 1200 MiB free"),
        ({"vg_free": str(600 * MIB)}, {"rawat.before.other": "600"}, "less than 1200 MiB free"),
        ({"vg_free": str(600 * MIB)}, {f"rawat.replaced.{RUN}": "600"}, "less than 1200 MiB free"),
    ],
)
def test_what_is_promised(disk: Disk, root: dict[str, str], others: dict[str, str], why_not: str) -> None:
    disk.rows["root"] |= root
    for tag, mebibytes in others.items():
        disk.rows["x"] = row("x", lv_tags=tag, lv_size=str(int(mebibytes) * MIB))

    found = volumes.why_not(volumes.of_root(), RUN, 600 * MIB)

    assert why_not in found
    assert bool(found) == bool(why_not)


def test_nothing_is_promised_while_a_snapshot_is_merged_or_where_the_start_image_may_not_open_one(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    took()
    volumes.go_back(volumes.of_root(), RUN)
    assert "still being merged" in volumes.why_not(volumes.of_root(), RUN, MIB)
    monkeypatch.setattr(volumes, "_STARTERS", ("/no/such/hook",))
    assert "start image" in volumes.why_not(volumes.of_root(), RUN, MIB)
    assert disk.rows[f"rawat-{RUN}"]["lv_merging"]


def test_the_plan_tells_the_volume_and_its_room(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "apart", lambda: "")
    told = {"volume": "kantor/root", "room_bytes": (512 + 8 * 10 + 4) * MIB}
    # In whole extents: LVM takes no other size.
    assert volumes.look("ext4", RUN, 10 * MIB + 1, is_controller=False) == (told, "")
    assert volumes.look("ext4", RUN, 10 * MIB, is_controller=True)[1] == rules.OWN_RECORD
    # No snapshot needs more than the root has.
    assert volumes.look("ext4", RUN, 10_000 * MIB, is_controller=False)[0]["room_bytes"] == 1532 * MIB
    monkeypatch.setattr(rules, "apart", lambda: "/var is not part of the root")
    assert volumes.look("ext4", RUN, 0, is_controller=False)[1] == "/var is not part of the root"
    monkeypatch.setattr(volumes.shutil, "which", lambda _name: None)
    assert volumes.look("ext4", RUN, 0, is_controller=False) == (
        {}, "the programs of LVM are not installed on the host",
    )  # fmt: skip
    monkeypatch.setattr(volumes, "is_one", lambda: False)
    assert volumes.look("xfs", RUN, 0, is_controller=False)[1].startswith("the root file system is xfs")
    assert "root" in disk.rows


@pytest.mark.parametrize(
    ("started", "age_days", "is_removed"), [(ENDED, 8, True), (ENDED, 6, False), ("open", 400, False)]
)
def test_only_what_ended_runs_left_long_enough_is_removed(
    disk: Disk,
    started: str,
    age_days: int,
    is_removed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    taken = int(time.time()) - age_days * 86400 - 60
    for what in ("before", "replaced"):
        tags = f"rawat.{what}.run-0,rawat.started.{started},rawat.taken.{taken}"
        disk.rows[what] = row(what, lv_tags=tags)
    disk.rows["root"]["lv_tags"] = "rawat.returned.run-0.boot-0"
    disk.rows["mine"] = row("mine", lv_tags="backup")
    own = f"rawat.before.{RUN},rawat.started.{ENDED},rawat.taken.1"
    disk.rows["own"] = row("own", lv_tags=own)

    group = volumes.of_root()
    (looked,) = volumes.sweep(group, RUN, [ENDED], 7, is_check=True)
    unchanged = dict(disk.rows)
    (kept,) = volumes.sweep(group, RUN, [ENDED], 7, is_check=False)

    assert looked == kept == rules.Kept("run-0", age_days, is_removed)
    assert {"mine", "own", "before"} <= set(unchanged)
    assert set(disk.rows) == {"root", "mine", "own"} | (set() if is_removed else {"before", "replaced"})
    assert bool(disk.rows["root"]["lv_tags"]) != is_removed


@pytest.mark.parametrize(
    "said", ["", "nonsense", '{"report": []}', '{"report": [{"lv": [{"lv_name": "x"}]}]}']
)
def test_a_list_that_cannot_be_read_is_told(said: str) -> None:
    with pytest.raises(rules.SnapshotError, match="cannot be read"):
        volumes.parse(said)


UPDATE = {"package": "p", "from": "1", "to": "2"}


@pytest.fixture
def returning(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - loaded at run time
    """Return the module that goes back, on a host whose package is at its new version."""
    found = module("return_to_snapshot")
    root = shared("mounted").Mount("/", "/", "ext4", "/dev/mapper/kantor-root", is_read_only=False)
    monkeypatch.setattr(shared("mounted"), "read", lambda: {"/": root})
    monkeypatch.setattr(rules, "is_before", lambda _approved: False)
    monkeypatch.setattr(rules, "apart", lambda: "")
    assert "root" in disk.rows
    return found


def outcome(returning: Any, *, check_mode: bool = False) -> tuple[bool, str, str]:  # noqa: ANN401 - loaded
    restart, told = returning.work({"run": RUN, "approved": [UPDATE]}, check_mode=check_mode)
    return restart, told["outcome"], told["reason"]


def test_the_role_restarts_a_host_once(returning: Any, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401 - loaded
    assert outcome(returning) == (False, "no snapshot", "")
    took()
    assert outcome(returning, check_mode=True) == (False, "not returned (check mode)", "")
    assert outcome(returning) == (True, "exchanged", "")
    # As a runner meets it that died before the restart.
    assert outcome(returning) == (True, "exchanged", "")
    assert returning.is_pending(RUN)
    restarted(disk, monkeypatch)
    assert outcome(returning, check_mode=True) == (False, "returned", "")
    assert not returning.is_pending(RUN)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("is_before", ("nothing to undo", "")),
        ("boot", ("not possible", "/boot was changed and is not part of the snapshot")),
        ("full", ("not possible", "more was changed than the snapshot can hold")),
        ("apart", ("not possible", "/var is not part of the root, and the update writes to it")),
        ("room", ("not possible", "the volume group kantor has less than 1200 MiB free")),
    ],
)
def test_the_next_rung_has_its_part_where_the_snapshot_does_not_do(
    returning: Any,  # noqa: ANN401 - loaded at run time
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    told: tuple[str, str],
) -> None:
    took()
    if what == "is_before":
        monkeypatch.setattr(rules, "is_before", lambda _approved: True)
    if what == "boot":
        monkeypatch.setattr(rules, "boot_digest", lambda: "c" * 64)
    if what == "apart":
        monkeypatch.setattr(rules, "apart", lambda: told[1])
    disk.rows["root"]["vg_free"] = str((599 if what == "room" else 600) * MIB)
    disk.rows[f"rawat-{RUN}"]["lv_snapshot_invalid"] = "snapshot invalid" if what == "full" else ""

    assert outcome(returning) == (False, *told)
    assert f"rawat-{RUN}-replaced-1" not in disk.rows


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "the volume group kantor has less than 1200 MiB free",
            "ruang kosong grup volume kantor kurang dari 1200 MiB",
        ),
        ("more was changed than the snapshot can hold", "perubahan melebihi daya tampung snapshot"),
        (
            "an earlier snapshot is still being merged into the root",
            "penggabungan snapshot sebelumnya belum selesai",
        ),
        (
            "/var is not part of the root, and the update writes to it",
            "/var bukan bagian sistem, padahal pemutakhiran menulis ke sana",
        ),
        (
            "the root's volume is of another kind (raid,raid1), which is not proven",
            "volume sistem jenis lain (raid,raid1), belum teruji",
        ),
        (
            "the host's start image is not made by what opens volumes with snapshots",
            "image awal (initramfs) host tidak dapat membuka volume dengan snapshot",
        ),
    ],
)
def test_officials_read_in_their_language_why_a_snapshot_does_not_do(reason: str, told: str) -> None:
    page = '{% import "_macros.html.j2" as m with context %}{{ m.reason(reason) }}'
    assert report.environment().from_string(page).render(reason=reason).strip() == told
