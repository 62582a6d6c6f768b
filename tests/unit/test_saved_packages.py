"""What is kept to go back with: only whole files count, and a control file is built again as it was."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from role_modules import module, shared


def keep(folder: Path, package: str, version: str, content: bytes) -> Path:
    saved = shared("saved_packages")
    digest = hashlib.sha256(content).hexdigest()
    file = folder / f"{digest[:16]}.deb"
    file.write_bytes(content)
    index = saved.read_index(folder)
    index[package] = {"version": version, "file": file.name, "sha256": digest}
    saved.write_index(folder, index)
    return file


def test_a_kept_file_counts_only_whole_and_in_the_version_asked_for(tmp_path: Path) -> None:
    saved = shared("saved_packages")
    good = keep(tmp_path, "good", "1", b"as saved")
    keep(tmp_path, "flipped", "1", b"before").write_bytes(b"behind")
    keep(tmp_path, "gone", "1", b"gone").unlink()
    linked = keep(tmp_path, "linked", "1", b"elsewhere")
    linked.rename(tmp_path / "moved")
    linked.symlink_to(tmp_path / "moved")

    wanted = dict.fromkeys(("good", "flipped", "gone", "linked", "never"), "1")
    assert saved.whole_files(tmp_path, wanted) == {"good": good}
    assert saved.whole_files(tmp_path, {"good": "2"}) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": '])
def test_an_index_that_was_cut_off_keeps_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "saved.json").write_text(content)

    assert shared("saved_packages").whole_files(tmp_path, {"a": "1"}) == {}


def test_a_path_in_the_index_leads_nowhere_else(tmp_path: Path) -> None:
    saved, folder = shared("saved_packages"), tmp_path / "packages"
    folder.mkdir()
    outside = keep(tmp_path, "x", "1", b"outside")
    entry = {"version": "1", "file": f"../{outside.name}", "sha256": hashlib.sha256(b"outside").hexdigest()}
    saved.write_index(folder, {"x": entry})

    assert saved.whole_files(folder, {"x": "1"}) == {}


def test_a_package_with_a_file_comes_out_of_it_and_the_others_from_their_sources() -> None:
    command = shared("debian_packages").install_command(
        {"a": "1", "b": "2"}, lock_timeout=1, files={"a": Path("/kept/a.deb")}
    )

    assert command[-2:] == ["/kept/a.deb", "b=2"]
    assert "Dir::Etc::sourcelist=/dev/null" not in command


def test_what_is_kept_goes_back_without_asking_any_source() -> None:
    files = {"a": Path("/kept/a.deb"), "b": Path("/kept/b.deb")}
    command = shared("debian_packages").install_command({"a": "1"}, lock_timeout=1, files=files)

    assert {"Dir::Etc::sourcelist=/dev/null", "Dir::Etc::sourceparts=/dev/null"} < set(command)


def test_the_record_of_dpkg_becomes_the_control_file_again() -> None:
    status = (
        "Package: tool\nStatus: install ok installed\nVersion: 1-1\nConffiles:\n /etc/a 0cc1\n /etc/b 92eb\n"
        "Description: a tool\n that works\nConfig-Version: 1-1\n"
    )

    assert shared("save_packages_repack").control_of(status) == (
        "Package: tool\nVersion: 1-1\nDescription: a tool\n that works\n"
    )


class Dpkg:
    """Answers as dpkg and apt do, and counts what is started."""

    def __init__(self, *, fails_together: bool = False, loses: str = "") -> None:
        self.fails_together = fails_together
        self.loses = loses
        self.started: Counter[str] = Counter()

    def run(self, argv: list[str], timeout: float = 120) -> Any:  # noqa: ANN401 - what the role's module returns
        del timeout
        program = "apt-get" if "apt-get" in argv else argv[0]
        self.started[program] += 1
        names = argv[argv.index("--") + 1 :] if "--" in argv else [a for a in argv[1:] if a[0] != "-"]
        return shared("debian_packages").Finished(*getattr(self, program.replace("-", "_"))(argv, names))

    def dpkg(self, _argv: list[str], _names: list[str]) -> tuple[int, str]:
        return 0, "amd64\n"

    def dpkg_query(self, _argv: list[str], names: list[str]) -> tuple[int, str]:
        return 0, "".join(f"{name}\tamd64\t10\n" for name in names)

    def dpkg_deb(self, _argv: list[str], names: list[str]) -> tuple[int, str]:
        file = next(name for name in names if "/" in name)
        return 0, Path(file).read_text(encoding="utf-8")

    def apt_get(self, argv: list[str], names: list[str]) -> tuple[int, str]:
        folder = Path(argv[1].removeprefix("--chdir="))
        for package, _, version in (name.partition("=") for name in names):
            if package == self.loses and len(names) > 1:
                continue
            (folder / f"{package}_{version}_amd64.deb").write_text(f"{package} {version}", encoding="utf-8")
        return (100 if self.fails_together and len(names) > 1 else 0), ""


def kept(
    tmp_path: Path,
    count: int,
    dpkg: Dpkg | None = None,
    *,
    cached: bool = False,
    offered: bool = True,
    reserve: int = 0,
) -> tuple[Dpkg, dict[str, Any]]:
    """Keep so many packages; return what was started, and the evidence."""
    role, packages = module("save_packages"), shared("debian_packages")
    names = [f"package{number}" for number in range(count)]
    dpkg = dpkg or Dpkg()
    parameters = {
        "approved": [{"package": name, "from": "1", "to": "2"} for name in names],
        "run": f"r{count}",
        "started": "",
        "ended": [],
        "state_directory": str(tmp_path),
        "reserve_bytes": reserve,
        "proxy": "",
    }
    cache = tmp_path / "cache"
    if cached:
        cache.mkdir()
        (cache / "package0_1_amd64.deb").write_text("package0 1", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, "run_command", dpkg.run)
        patch.setattr(role, "CACHE", cache)
        # What dpkg noted down of the files of a package; the stand-in has the same inside of each file.
        patch.setattr(role, "installed_md5sums", lambda name: f"{name} 1".encode())
        keeper = role.Keeper(parameters)
        patch.setattr(keeper, "offered", set if offered else lambda _missing: set())
        keeper.save(dict.fromkeys(names, "1"))
    return dpkg, keeper.evidence()


def test_twenty_packages_are_fetched_by_one_call_as_two_are(tmp_path: Path) -> None:
    """An apt-get a package read all lists of the sources each time: half a second each, on every host."""
    few, many = kept(tmp_path, 2), kept(tmp_path, 20)

    for count, (dpkg, evidence) in ((2, few), (20, many)):
        assert [item["how"] for item in evidence["saved"]] == ["channel"] * count
        # Each file is asked what it is.
        assert dpkg.started == {"apt-get": 1, "dpkg-query": 1, "dpkg": 1, "dpkg-deb": count}


def test_when_they_cannot_be_fetched_together_each_is_tried_by_itself(tmp_path: Path) -> None:
    dpkg, evidence = kept(tmp_path, 3, Dpkg(fails_together=True))

    assert [item["package"] for item in evidence["saved"]] == ["package0", "package1", "package2"]
    assert dpkg.started["apt-get"] == 4
    assert not evidence["not_saved"]
    assert [*(tmp_path / "r3" / "packages").glob("new-*")] == []


def test_one_that_did_not_come_with_the_others_is_asked_for_by_itself(tmp_path: Path) -> None:
    dpkg, evidence = kept(tmp_path, 3, Dpkg(loses="package1"))

    assert [item["how"] for item in evidence["saved"]] == ["channel"] * 3
    assert dpkg.started["apt-get"] == 2


def test_what_lies_in_the_cache_of_apt_is_not_fetched(tmp_path: Path) -> None:
    dpkg, evidence = kept(tmp_path, 1, cached=True)

    assert [item["how"] for item in evidence["saved"]] == ["cache"]
    assert dpkg.started["apt-get"] == 0


def test_without_room_nothing_is_fetched(tmp_path: Path) -> None:
    dpkg, evidence = kept(tmp_path, 2, reserve=1 << 60)

    assert dpkg.started["apt-get"] == 0
    assert all("bytes free" in item["reason"] for item in evidence["not_saved"])
    assert len(evidence["not_saved"]) == 2


def test_what_no_source_offers_is_not_asked_for(tmp_path: Path) -> None:
    dpkg, _ = kept(tmp_path, 2, offered=False)

    assert dpkg.started["apt-get"] == 0


def test_a_package_of_another_architecture_is_known_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    role, packages = module("save_packages"), shared("debian_packages")
    told = {"dpkg": "amd64\n", "dpkg-query": "tool\ti386\t10\nwords\tall\t2\n"}
    monkeypatch.setattr(packages, "run_command", lambda argv: packages.Finished(0, told[argv[0]]))

    found = role.installed_now(["tool:i386", "words", "gone"])

    assert found == {
        "tool:i386": role.Installed("i386", 10 * 1024),
        "words": role.Installed("all", 2 * 1024),
        "gone": role.Installed("", 0),
    }
