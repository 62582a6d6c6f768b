"""The choice between a changed configuration file and the new one: in the plan, for exactly that file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from role_modules import shared

from runner import plan as plans
from runner.canonical import canonical_json
from runner.screens import _plan_notes

chosen = shared("chosen_conffiles")


def entry(path: Path | str, choice: str) -> dict[str, str]:
    seen = Path(path).read_bytes() if Path(path).exists() else None
    digest = hashlib.sha256(seen).hexdigest() if seen is not None else ""
    return {"package": "conf", "path": str(path), "state": "changed", "choice": choice, "sha256": digest}


def test_without_a_word_every_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    changed = [{"package": "conf", "path": str(tmp_path / name), "state": "changed"} for name in "ab"]

    told = chosen.with_choices(changed, {str(tmp_path / "b"): "new"})

    assert [(item["choice"], bool(item["sha256"])) for item in told] == [("keep", True), ("new", False)]


def test_only_chosen_files_of_packages_to_be_installed_are_placed() -> None:
    entries = [entry("/etc/a", "keep"), entry("/etc/b", "new"), {"package": "conf", "path": "/etc/c"}]

    assert [item["path"] for item in chosen.to_place(entries, {"conf": "2"})] == ["/etc/b"]
    assert chosen.to_place(entries, {"other": "2"}) == []


def test_the_new_file_takes_mode_and_place_and_the_old_one_stands_beside_it(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.conf", tmp_path / "b.conf"
    path.write_text("mine")
    kept.write_text("mine too")
    path.chmod(0o640)

    assert chosen.place({str(path): b"new"}) == [str(path)]
    assert chosen.place({str(path): b"new"}) == []

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert (tmp_path / "a.conf.dpkg-old").read_text() == "mine"
    assert kept.read_text() == "mine too"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.conf", "a.conf.dpkg-old", "b.conf"]


def test_a_file_that_was_changed_again_since_the_plan_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.conf"
    path.write_text("mine")
    seen = entry(path, "new")
    monkeypatch.setattr(chosen, "_unpacked", lambda *_: {str(path): b"new"})

    assert chosen.fetch([seen], {"conf": "2"}) == ({str(path): b"new"}, [])
    path.write_text("changed again")
    assert chosen.fetch([seen], {"conf": "2"})[1] == [f"{path} was changed again since it was planned"]
    # Placed by a call of this run that was cut off: that is no change by somebody.
    path.write_text("new")
    assert chosen.fetch([seen], {"conf": "2"})[1] == []


def test_the_choice_is_part_of_what_is_signed_and_is_shown() -> None:
    def made(choice: str) -> dict[str, object]:
        found = {"updates": [], "reboot": {}, "conffiles": [entry("/etc/a", choice)]}
        evidence = {"host": "web1", "status": "ok", "failure": None, "results": {"plan_updates": found}}
        return plans.make_plan("run", "s", plans.ActsBy("r", {}), [evidence])

    keep, new = made("keep"), made("new")

    assert canonical_json(keep) != canonical_json(new)
    shown = [note.plain for note in _plan_notes("web1", new["hosts"]["web1"])]  # type: ignore[index]
    assert "  web1: conf puts its new /etc/a in place of the one that was changed on the host" in shown
