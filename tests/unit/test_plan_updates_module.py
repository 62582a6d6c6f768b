"""The update modules' rules that need no host: reading what apt, dpkg and ClamAV say, and judging it."""

from __future__ import annotations

import hashlib
import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from role_modules import module, shared


def compare(one: str, other: str) -> int:
    """Compare versions that sort as text, in place of apt's own comparison."""
    return (one > other) - (one < other)


CHANGELOG = """\
lab-good (1.3) lab-security; urgency=high

  * Close CVE-2099-0010 and CVE-2099-0002 (again CVE-2099-0010).

lab-good (1.2) lab-security; urgency=high

  * Close CVE-2099-0001; mentions (1.0) in passing.

lab-good (1.1) lab; urgency=low

  * Closed long ago: CVE-2098-9999.
"""


def test_cves_come_from_entries_newer_than_the_installed_version_only() -> None:
    found = shared("package_files").cves_newer_than(CHANGELOG, "1.1", compare)

    assert found == ["CVE-2099-0001", "CVE-2099-0002", "CVE-2099-0010"]


@pytest.mark.parametrize(
    ("changelog", "cves", "verdict"),
    [(None, [], "unavailable"), ("text", [], "none named"), ("text", ["CVE-2099-0001"], "read")],
)
def test_changelog_verdict_tells_unread_from_nothing_named(
    changelog: str | None, cves: list[str], verdict: str
) -> None:
    assert shared("package_files").changelog_verdict(changelog, cves) == verdict


@pytest.mark.parametrize(
    ("package", "label", "codename", "kind"),
    [
        ("openssl", "Debian-Security", "bookworm-security", "security"),
        ("openssl", "Debian", "bookworm-security", "security"),
        ("openssl", "Debian", "bookworm", "system"),
        ("openssl", "Debian", "stable", "system"),
        ("clamav-daemon", "Debian-Security", "bookworm-security", "antivirus"),
        ("libclamav12:i386", "Debian", "bookworm", "antivirus"),
    ],
)
def test_kind_is_told_by_label_codename_and_package_name(
    package: str, label: str, codename: str, kind: str
) -> None:
    probe = module("plan_updates", "probe_updates")
    parameters = {
        "security_labels": ["Debian-Security"],
        "security_codenames": ["*-security"],
        "antivirus_packages": ["clamav*", "libclamav*"],
    }

    assert probe.kind_of(package, [probe.Archive("Debian", label, codename)], parameters) == kind


SORTS = {
    "security_labels": ["Debian-Security"],
    "security_codenames": ["*-security"],
    "antivirus_packages": ["clamav*"],
}


def offered(origin: str, suite: str, codename: str = "jammy") -> SimpleNamespace:
    """Return where a version comes from, with the fields that python-apt gives it."""
    return SimpleNamespace(origin=origin, label=origin, codename=codename, archive=suite)


@pytest.mark.parametrize(
    ("origins", "kind"),
    [
        ([offered("Ubuntu", "jammy-updates"), offered("Ubuntu", "jammy-security")], "security"),
        ([offered("Ubuntu", "jammy-updates")], "system"),
        ([offered("Ubuntu", "jammy")], "system"),
        ([offered("UbuntuESM", "jammy-infra-security")], "security"),
        ([offered("UbuntuESM", "jammy-infra-updates")], "system"),
        ([offered("UbuntuESMApps", "jammy-apps-security")], "security"),
        ([offered("UbuntuESMApps", "jammy-infra-security")], "system"),
        # The suite of another release, and a suite of somebody else's, say nothing.
        ([offered("Ubuntu", "noble-security")], "system"),
        ([offered("Contoh", "jammy-security")], "system"),
        ([offered("Debian", "stable-security", "bookworm")], "system"),
    ],
)
def test_security_updates_of_ubuntu_are_told_by_the_suite_that_its_codename_makes(
    origins: list[SimpleNamespace], kind: str
) -> None:
    """Ubuntu's security archive has the origin, the label and the codename of every other one of Ubuntu's."""
    probe = module("plan_updates", "probe_updates")

    archives = probe.archives_of(SimpleNamespace(origins=origins))

    assert probe.kind_of("openssl", archives, SORTS) == kind


def test_the_plan_tells_of_an_archive_what_it_always_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further field would be a new plan for hosts on which nothing has changed."""
    probe = module("plan_updates", "probe_updates")
    monkeypatch.setattr(probe, "apt_pkg", SimpleNamespace(version_compare=compare), raising=False)
    monkeypatch.setattr(probe, "installed_postinst", lambda _package: "")
    origins = [offered("Ubuntu", "jammy-updates"), offered("Ubuntu", "jammy-security")]
    version = SimpleNamespace(
        origins=origins, source_name="openssl", architecture="amd64", version="2", source_version="2", size=5
    )
    package = SimpleNamespace(
        name="openssl",
        shortname="openssl",
        candidate=version,
        installed=SimpleNamespace(version="1", source_version="1"),
        versions=[],
        installed_files=[],
    )
    running = probe.Running({}, {})

    told = probe.describe_update(package, [], None, running, {**SORTS, "reboot_packages": []})

    assert {key: told[key] for key in ("origin", "label", "codename")} == {
        "origin": "Ubuntu",
        "label": "Ubuntu",
        "codename": "jammy",
    }
    assert set(told) == {
        "package", "source", "architecture", "from", "to", "kind", "origin", "label", "codename", "cves",
        "changelog", "bytes", "reboot",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("phased", "is_held", "removed", "reason"),
    [
        ({"phasing_applied": True}, False, [], "phased: not yet offered to this host"),
        ({"phasing_applied": True}, True, [], "held on the host"),
        ({"phasing_applied": False}, False, ["nano"], "would remove nano"),
        ({"phasing_applied": False}, False, [], "its dependencies cannot be met from the configured sources"),
        # An older python-apt does not say.
        ({}, False, [], "its dependencies cannot be met from the configured sources"),
    ],
)
def test_an_update_that_the_distribution_hands_out_by_and_by_is_told_as_that(
    phased: dict[str, bool],
    removed: list[str],
    reason: str,
    *,
    is_held: bool,
) -> None:
    probe = module("plan_updates", "probe_updates")
    gone = [SimpleNamespace(name=name) for name in removed]

    told = probe.kept_back_reason(SimpleNamespace(**phased), [], gone, is_held=is_held)

    assert told == reason


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (b"ClamAV-VDB:22 Jun 2021 21-34 -0400:6:14:90:md5:sig:builder:1624412041" + b" " * 400, "6"),
        (b"ClamAV-VDB:22 Jun 2021 21-34 -0400:27123:2067000:90:X:X:raynman:1", "27123"),
        (b"<html>not a database</html>", None),
        (b"", None),
        (b"ClamAV-VDB:date:notanumber:1", None),
    ],
)
def test_database_version_is_read_from_its_header(header: bytes, version: str | None) -> None:
    assert shared("clamav_database").parse_header(header) == version


@pytest.mark.parametrize(
    ("header", "built"),
    [
        (b"ClamAV-VDB:22 Jun 2021 21-34 -0400:6:14:90:md5:sig:builder:1624412041", 1624412040.0),
        (b"ClamAV-VDB:07 Oct 2025 04-52 +0530:1:1:1", 1759792920.0),
        (b"ClamAV-VDB:77 Oct 2025 04-52 +0530:1:1:1", None),
        (b"ClamAV-VDB:date:6:", None),
        (b"", None),
    ],
)
def test_when_a_database_was_built_is_read_from_its_header(header: bytes, built: float | None) -> None:
    assert shared("clamav_database").parse_built(header) == built


def test_mirrors_are_asked_in_the_order_of_freshclam() -> None:
    settings = shared("clamav_database").parse_configuration(
        "# comment\nDatabaseMirror db.example.org\nPrivateMirror http://10.0.0.1:8801/\nChecks 24\n"
    )

    assert shared("clamav_mirror").mirror_addresses(settings) == [
        "http://10.0.0.1:8801",
        "https://db.example.org",
    ]


@pytest.mark.parametrize(
    ("answer", "engine", "version"),
    [
        ("ClamAV 1.4.3/6/Wed Jun 23 01:34:05 2021\0", "1.4.3", "6"),
        ("ClamAV 1.4.3", "1.4.3", None),
        ("UNKNOWN COMMAND\0", "", None),
    ],
)
def test_daemon_version_tells_engine_and_loaded_database(
    answer: str, engine: str, version: str | None
) -> None:
    assert shared("clamav_database").parse_daemon_version(answer) == (engine, version)


def test_package_table_leaves_out_removed_packages_and_names_foreign_architectures() -> None:
    packages = shared("debian_packages")
    table = (
        "libc6\tamd64\tii \t2.36-9\n"
        "libc6\ti386\tii \t2.36-9\n"
        "tzdata\tall\thi \t2025a\n"
        "lab-postinst\tall\tiF \t1.0-1+deb12u1\n"
        "old\tamd64\trc \t1.0\n"
    )

    states = packages.parse_package_states(table, "amd64")

    assert sorted(states) == ["lab-postinst", "libc6", "libc6:i386", "tzdata"]
    assert states["tzdata"].is_held
    assert states["tzdata"].is_settled
    assert not states["lab-postinst"].is_settled


def test_audit_names_each_package_with_its_state() -> None:
    output = """\
The following packages are in a mess due to serious problems during
installation.  They must be reinstalled for them (and any packages
that depend on them) to function properly:
 lab-crash            Service that dies

The following packages are only half configured, probably due to problems
configuring them the first time.  The configuration should be retried using
dpkg --configure <package> or the configure menu option in dselect:
 lab-good             Service
 lab-postinst         Package that cannot be configured

"""

    assert shared("debian_packages").parse_audit(output) == [
        "lab-crash: in a mess due to serious problems during installation",
        "lab-good: only half configured",
        "lab-postinst: only half configured",
    ]


SIMULATED = """\
NOTE: This is only a simulation!
Remv lab-old [1.0-1]
Inst lab-good [1.0-1] (1.0-1+deb12u1 Debian:lab-security [all])
Inst lab-dep (1.0-1 Debian:lab-security [all])
Inst libc6:i386 [2.36-9] (2.36-10 Debian:lab [i386]) []
Conf lab-good (1.0-1+deb12u1 Debian:lab-security [all])
"""


def test_simulation_is_read_as_installs_and_removes() -> None:
    simulation = shared("debian_packages").parse_simulation(SIMULATED)

    assert simulation.installs == {"lab-good": "1.0-1+deb12u1", "lab-dep": "1.0-1", "libc6:i386": "2.36-10"}
    assert simulation.removes == ["lab-old"]


def test_simulation_that_does_more_or_less_than_approved_is_told_in_words() -> None:
    packages = shared("debian_packages")
    simulation = packages.parse_simulation(SIMULATED)
    wanted = {"lab-good": "1.0-1+deb12u2", "libc6:i386": "2.36-10", "lab-half": "2", "lab-unpacked": "3"}

    assert packages.simulation_differences(wanted, simulation, may_be_missing=["lab-unpacked"]) == [
        "would also install lab-dep 1.0-1",
        "would install lab-good 1.0-1+deb12u1 in place of 1.0-1+deb12u2",
        "would install lab-half not at all in place of 2",
        "would remove lab-old",
    ]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b]52;c;aGk=\x07after", "after"),
        ("\x1b[2Jcleared \x1b[31mred\x1b[0m", "cleared red"),
        ("reading 50%\rreading 100%\r\nnext", "reading 100%\nnext"),
        ("a\u202eb\x00c\u0085d", "abcd"),
        ("\x1b]8;;http://example.org\x1b\\link", "link"),
    ],
)
def test_text_of_a_host_loses_control_characters(raw: str, clean: str) -> None:
    assert shared("debian_packages").clean_text(raw) == clean


def test_long_log_keeps_its_end() -> None:
    tail = shared("debian_packages").log_tail("\n".join(f"line {n}" for n in range(2000)), limit=100)

    assert len(tail) <= 106
    assert tail.startswith("[...]\nline ")
    assert tail.endswith("line 1999")


def test_error_lines_prefer_what_apt_marks_as_error() -> None:
    output = (
        "Hit:1 http://a\nErr:2 http://b\nE: The repository is not signed.\nE: The repository is not signed.\n"
    )

    assert shared("debian_packages").error_lines(output) == "Err:2 http://b; E: The repository is not signed."


Judged = tuple[dict[str, str], list[dict[str, str]], list[dict[str, str]]]


def test_error_lines_join_the_reason_to_the_package() -> None:
    output = (
        "dpkg: error processing package lab-postinst (--configure):\n script returned error exit status 3\n"
    )

    assert shared("debian_packages").error_lines(output) == (
        "dpkg: error processing package lab-postinst (--configure): script returned error exit status 3"
    )


def judged(
    state: tuple[str, str] | None, offered: set[str], *, continues: bool = False, before: str = "1"
) -> Judged:
    """Return pending, already and refused for one approved update, lab-good from 1 to 2."""
    updates, packages = shared("approved_updates"), shared("debian_packages")
    states = {"lab-good": packages.PackageState(*state)} if state else {}
    offers = {"lab-good": updates.Offer(max(offered, default=""), frozenset(offered))}
    verdict = updates.judge([updates.Approved("lab-good", before, "2")], states, offers, continues=continues)
    return verdict.pending, verdict.already, verdict.refused


def test_approved_update_on_an_unchanged_host_is_pending() -> None:
    assert judged(("1", "ii"), {"1", "2"}) == ({"lab-good": "2"}, [], [])


def test_update_already_in_effect_needs_nothing() -> None:
    assert judged(("2", "ii"), {"2"}) == ({}, [{"package": "lab-good", "version": "2"}], [])


def test_newer_candidate_does_not_replace_the_approved_version() -> None:
    assert judged(("1", "ii"), {"1", "2", "3"})[0] == {"lab-good": "2"}


@pytest.mark.parametrize(
    ("state", "offered", "reason"),
    [
        (("1.5", "ii"), {"2"}, "neither the old nor the new"),
        (("1", "ii"), {"1", "3"}, "no longer offered (offered now: 3)"),
        (("1", "hi"), {"2"}, "put on hold"),
        (("2", "iF"), {"2"}, "did not start"),
        (None, {"2"}, "no longer installed"),
    ],
)
def test_host_that_drifted_is_refused_with_the_reason(
    state: tuple[str, str] | None, offered: set[str], reason: str
) -> None:
    pending, _, refused = judged(state, offered)

    assert pending == {}
    assert reason in refused[0]["reason"]
    assert refused[0]["approved_to"] == "2"


@pytest.mark.parametrize(
    ("state", "offered", "pending", "reason"),
    [
        (None, {"2"}, {"lab-good": "2"}, None),
        (None, {"3"}, {}, "no longer offered (offered now: 3)"),
        (("2", "ii"), {"2"}, {}, None),
        (("1", "ii"), {"2"}, {}, "neither the old nor the new"),
        (("2", "iF"), {"2"}, {}, "did not start"),
    ],
)
def test_a_package_that_was_not_there_comes_as_it_was_approved(
    state: tuple[str, str] | None, offered: set[str], pending: dict[str, str], reason: str | None
) -> None:
    found, _, refused = judged(state, offered, before="")
    assert found == pending
    assert [reason in item["reason"] for item in refused if reason] == ([True] if reason else [])


def test_package_left_unfinished_by_this_very_run_is_continued() -> None:
    assert judged(("2", "iF"), {"2"}, continues=True)[0] == {"lab-good": "2"}


def test_unfinished_package_outside_the_plan_is_refused() -> None:
    updates, packages = shared("approved_updates"), shared("debian_packages")
    states = {"other": packages.PackageState("9", "iU"), "lab-good": packages.PackageState("1", "iF")}

    refused = updates.foreign_unfinished(states, [updates.Approved("lab-good", "1", "2")])

    assert [item["package"] for item in refused] == ["other"]


@pytest.mark.parametrize(
    ("state", "offered", "restore", "reason"),
    [
        (("2", "ii"), {"1", "2"}, {"lab-good": "1"}, None),
        (("2", "iF"), {"1", "2"}, {"lab-good": "1"}, None),
        (("1", "iF"), {"1", "2"}, {"lab-good": "1"}, None),
        (("1", "ii"), set(), {}, None),
        (("2", "ii"), {"2"}, {}, "no longer offered"),
        (("3", "ii"), {"1", "2"}, {}, "which this plan did not bring"),
        (None, {"1"}, {}, "no longer installed"),
    ],
)
def test_rollback_restores_what_it_can_and_says_what_it_cannot(
    state: tuple[str, str] | None, offered: set[str], restore: dict[str, str], reason: str | None
) -> None:
    undo, updates, packages = (
        module("rollback_updates", "undo_updates"),
        shared("approved_updates"),
        shared("debian_packages"),
    )
    states = {"lab-good": packages.PackageState(*state)} if state else {}
    offers = {"lab-good": updates.Offer("", frozenset(offered))}

    found, not_undone = undo.judge([updates.Approved("lab-good", "1", "2")], states, offers)

    assert found == restore
    assert [reason in item["reason"] for item in not_undone if reason] == ([True] if reason else [])


@pytest.mark.parametrize(
    ("state", "restore", "reason"),
    [
        (None, {}, None),
        (("2", "ii"), {"linux-image-6": ""}, None),
        (("2", "iF"), {"linux-image-6": ""}, None),
        (("3", "ii"), {}, "which this plan did not bring"),
    ],
)
def test_what_the_update_brought_goes_again(
    state: tuple[str, str] | None, restore: dict[str, str], reason: str | None
) -> None:
    undo, updates, packages = (
        module("rollback_updates", "undo_updates"),
        shared("approved_updates"),
        shared("debian_packages"),
    )
    states = {"linux-image-6": packages.PackageState(*state)} if state else {}
    found, not_undone = undo.judge([updates.Approved("linux-image-6", "", "2")], states, {})
    assert found == restore
    assert [reason in item["reason"] for item in not_undone if reason] == ([True] if reason else [])


def test_a_kernel_that_runs_is_not_taken_away() -> None:
    undo, updates = module("rollback_updates", "undo_updates"), shared("approved_updates")
    name = f"linux-image-{os.uname().release}"
    states = {name: shared("debian_packages").PackageState("2", "ii")}
    restore, (left,) = undo.judge([updates.Approved(name, "", "2")], states, {})
    assert (restore, left) == ({}, {"package": name, "reason": updates.RUNNING_KERNEL})


def test_a_kernel_takes_as_much_of_boot_as_the_largest_there(tmp_path: Path) -> None:
    room = shared("disk_room")
    for name, size in (("vmlinuz-6.1.0-1-amd64", 5), ("initrd.img-6.1.0-1-amd64", 40), ("vmlinuz-5", 9)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "grub").mkdir()
    assert room.room_of_kernels(2, tmp_path) == {str(tmp_path): 90}
    assert room.room_of_kernels(0, tmp_path) == room.room_of_kernels(1, tmp_path / "none") == {}


def test_a_disk_with_too_little_room_is_named_with_what_is_needed_and_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = shared("disk_room")
    disks = {"/": 1, "/usr": 1, "/var/cache/apt/archives": 2, "/var/lib/dpkg": 2}
    free = {"/": 90_000_000, "/var/cache/apt/archives": 80_000_000}
    monkeypatch.setattr(Path, "stat", lambda path: SimpleNamespace(st_dev=disks[str(path)]))
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    needed = {"/": 0, "/usr": 30_000_000, "/var/cache/apt/archives": 20_000_000, "/var/lib/dpkg": 0}

    # On each disk the reserve is asked for once, however many places lie on it.
    assert room.shortages(needed, 60_000_000) == []
    assert room.shortages(needed, 60_000_001) == [
        "/, /usr: 90.0 MB needed, 90.0 MB free",
        "/var/cache/apt/archives, /var/lib/dpkg: 80.0 MB needed, 80.0 MB free",
    ]


def test_holder_of_a_lock_is_named_once_whether_apt_names_it_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apt names the holder while it waits, and for one lock only when it gives up."""
    packages = shared("debian_packages")
    monkeypatch.setattr(packages, "lock_holder", lambda _path: "process 7 (python3)")
    waited = (
        "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7\n"
    )
    gave_up = "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend)\n"
    named = "E: Could not get lock /var/cache/apt/archives/lock. It is held by process 7 (python3)\n"

    for output in (waited + gave_up, named):
        assert packages.why_failed(output).count("held by process 7 (python3)") == 1


@pytest.mark.parametrize(
    ("status", "broken"), [("ii", False), ("iF", False), ("iH", True), ("iHR", True), ("hi", False)]
)
def test_package_whose_files_are_a_mess_is_told(status: str, *, broken: bool) -> None:
    """Apt takes it for installed at its old version; only installing it again heals it."""
    assert shared("debian_packages").PackageState("1.0", status).is_broken is broken


# Configuration files -------------------------------------------------------------------------------


CONFFILES = """\
conf

 /etc/conf.ini 0123456789abcdef0123456789abcdef
 /etc/conf d/with space 00000000000000000000000000000000
 /etc/conf.old 11111111111111111111111111111111 obsolete
 /etc/conf.new newconffile
libc6:amd64

 /etc/ld.so.conf.d/x.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
"""


def test_configuration_files_are_read_with_package_and_digest() -> None:
    assert shared("configuration_files").parse(CONFFILES) == [
        ("conf", "/etc/conf.ini", "0123456789abcdef0123456789abcdef"),
        ("conf", "/etc/conf d/with space", "0" * 32),
        ("libc6:amd64", "/etc/ld.so.conf.d/x.conf", "d4e7a7b88a71b5ffd9e2644e71a0cfab"),
    ]


def test_configuration_files_are_named_by_packages_as_a_plan_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a choice of the officials would be of a package that the plan does not know."""
    files, packages = shared("configuration_files"), shared("debian_packages")
    told = "".join(
        f"{name}\n {tmp_path}/{number}.conf {'0' * 32}\n"
        for number, name in enumerate(("libpam-modules:amd64", "conf:all", "libc6:i386"))
    )
    answers = {"dpkg-query": told, "dpkg": "amd64\n"}
    monkeypatch.setattr(packages, "run_command", lambda argv, **_: packages.Finished(0, answers[argv[0]]))
    changed = files.changed_by_hand(["libpam-modules", "conf", "libc6:i386"])
    assert [item["package"] for item in changed] == ["libpam-modules", "conf", "libc6:i386"]


def test_a_configuration_file_is_as_shipped_changed_or_removed(tmp_path: Path) -> None:
    file, state_of = tmp_path / "conf.ini", shared("configuration_files").state_of
    file.write_bytes(b"shipped\n")
    shipped = hashlib.md5(b"shipped\n", usedforsecurity=False).hexdigest()
    assert state_of(file, shipped) == "as shipped"
    file.write_bytes(b"mine\n")
    assert state_of(file, shipped) == "changed"
    file.unlink()
    assert state_of(file, shipped) == "removed"


@pytest.mark.parametrize(
    "proxy", ["", "http://cache.example:3142", "https://10.0.0.1:8080/", "http://[fd00::1]:3142"]
)
def test_a_proxy_is_named_by_host_and_port(proxy: str) -> None:
    assert shared("debian_packages").PROXY.fullmatch(proxy)


@pytest.mark.parametrize(
    "proxy",
    ["cache.example:3142", "http://user:word@cache", "http://cache/x", "DIRECT", "http://a b", "http://"],
)
def test_a_proxy_with_a_password_or_of_another_form_is_refused(proxy: str) -> None:
    assert not shared("debian_packages").PROXY.fullmatch(proxy)


def test_lists_are_fetched_through_the_proxy_that_is_named_and_else_as_the_host_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe, said = module("plan_updates", "probe_updates"), []

    def run_command(argv: list[str], timeout: float) -> object:
        del timeout
        said.append([word for word in argv if "Proxy" in word])
        return shared("debian_packages").Finished(0, "")

    monkeypatch.setattr(probe.packages, "run_command", run_command)
    limits = {"lock_timeout": 1, "http_timeout": 1, "http_retries": 0}
    probe.refresh_index({**limits, "proxy": ""})
    probe.refresh_index({**limits, "proxy": "http://cache:3142"})

    assert said == [
        [],
        [
            "--option=Acquire::http::Proxy=http://cache:3142",
            "--option=Acquire::https::Proxy=http://cache:3142",
        ],
    ]


LOCKED = "E: Could not get lock /var/lib/apt/lists/lock"


@pytest.mark.parametrize(
    ("ends", "tries", "refreshed"),
    [
        ([(0, "", 1)], 1, True),
        ([(100, "E: closed", 1), (0, "", 1)], 2, True),
        ([(100, "E: closed", 1)] * 3, 2, False),
        # Who answers nothing at all was waited for already.
        ([(100, "E: timed out", 60)] * 2, 1, False),
        ([(124, "E: apt-get did not end", 900)] * 2, 1, False),
        # Who holds the lock is waited for, which is no try; here longer than there is patience.
        ([(100, LOCKED, 0)] * 9, 4, False),
        ([(100, LOCKED, 0), (100, "E: closed", 1), (0, "", 1)], 3, True),
    ],
)
def test_lists_that_were_refused_are_fetched_once_more_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, ends: list[tuple[int, str, int]], tries: int, *, refreshed: bool
) -> None:
    probe, now, said, left = module("plan_updates", "probe_updates"), [0.0], [], iter(ends)

    def run_command(argv: list[str], timeout: float) -> object:
        began = now[0]
        rc, output, seconds = next(left)
        now[0] += seconds
        said.append((began, now[0], timeout, "--option=Acquire::Retries::Delay=false" in argv))
        return shared("debian_packages").Finished(rc, output)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(probe.packages, "run_command", run_command)
    monkeypatch.setattr(probe.time, "sleep", sleep)
    monkeypatch.setattr(probe.time, "monotonic", lambda: now[0])

    told = probe.refresh_index({"lock_timeout": 2, "http_timeout": 15, "http_retries": 2, "proxy": ""})

    assert (told["refreshed"], len(said)) == (refreshed, tries)
    assert {(timeout, is_at_once) for *_, timeout, is_at_once in said} == {(302, True)}
    assert all(later - ended >= 1 for (_, ended, *_), (later, *_) in pairwise(said))


def test_apt_never_tries_again_after_a_pause_of_its_own() -> None:
    """It forgets such a download now and then, and waits for it for ever."""
    limits = shared("debian_packages").FETCH_LIMITS
    assert ("-o", "Acquire::Retries::Delay=false") in pairwise(limits)


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("", "refreshed, so"),
        ("http://cache:3142", "refreshed through the proxy http://cache:3142, so"),
        ("http://user:word@cache:3142/", "refreshed through the proxy http://cache:3142/, so"),
    ],
)
def test_a_proxy_through_which_no_list_comes_is_named_without_its_password(proxy: str, told: str) -> None:
    probe, failures = module("plan_updates", "probe_updates"), []
    ended = SimpleNamespace(fail_json=lambda **said: failures.append(said["msg"]))

    probe.refuse_old_index(ended, {"refreshed": False, "seconds": 1.0, "error": "E: no answer"}, proxy)

    assert told in failures[0]
    assert "word" not in failures[0]
