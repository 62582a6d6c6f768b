"""The rules of the plan of a RHEL host that need no host, on objects with the fields of dnf's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import role_modules

from lab.rpm_packages import updateinfo

GREATER = 1
CVE, BUGZILLA = 10, 11
SECURITY, BUGFIX = 20, 21


@pytest.fixture
def redhat(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module with dnf's numbers, which only a host with dnf has."""
    loaded = role_modules.shared("redhat_updates")
    numbers = SimpleNamespace(GT=GREATER, REFERENCE_CVE=CVE, ADVISORY_SECURITY=SECURITY)
    monkeypatch.setattr(loaded, "hawkey", numbers, raising=False)
    return loaded


def compare(one: str, other: str) -> int:
    """Compare versions that sort as text, in place of dnf's own comparison."""
    return (one > other) - (one < other)


class Package(SimpleNamespace):
    """Like a package of dnf: fields, and a place in sets."""

    def __hash__(self) -> int:
        return hash((self.name, self.evr, self.arch))


def package(name: str, evr: str, arch: str = "x86_64", **fields: object) -> Package:
    return Package(name=name, evr=evr, arch=arch, **fields)


def advisory(kind: int, evr: str, *references: tuple[int, str], arch: str = "x86_64") -> SimpleNamespace:
    named = [SimpleNamespace(type=kind_, id=text) for kind_, text in references]
    return SimpleNamespace(type=kind, references=named, packages=[package("openssl", evr, arch)])


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, True),
        ({"ID": "rhel"}, True),
        ({"ID": "fedora"}, True),
        ({"ID": "debian"}, False),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, False),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, False),
        ({}, False),
    ],
)
def test_the_family_is_told_by_os_release(release: dict[str, str], *, expected: bool) -> None:
    assert role_modules.shared("rpm_states").is_redhat(release) is expected


@pytest.mark.parametrize(
    ("advisories", "has_advisories", "expected"),
    [
        ([advisory(SECURITY, "2", (CVE, "CVE-2099-0010"))], True, (True, ["CVE-2099-0010"], "read")),
        ([advisory(BUGFIX, "2", (CVE, "CVE-2099-0010"))], True, (False, ["CVE-2099-0010"], "read")),
        ([advisory(SECURITY, "2", (BUGZILLA, "CVE-2099-0010"))], True, (True, [], "none named")),
        ([advisory(SECURITY, "2", (CVE, "<b>CVE-2099-1"))], True, (True, [], "none named")),
        ([], True, (False, [], "none named")),
        ([], False, (False, [], "unavailable")),
        # Of a version beyond the one that would be installed, and of another architecture.
        ([advisory(SECURITY, "4", (CVE, "CVE-2099-0010"))], True, (False, [], "none named")),
        ([advisory(SECURITY, "2", (CVE, "CVE-2099-0010"), arch="i686")], True, (False, [], "none named")),
    ],
)
def test_kind_and_cves_are_told_by_advisories_up_to_the_offered_version(
    redhat: ModuleType,
    advisories: list[SimpleNamespace],
    expected: tuple[bool, list[str], str],
    *,
    has_advisories: bool,
) -> None:
    installed = package("openssl", "1", get_advisories=lambda kind: advisories if kind == GREATER else [])

    found = redhat.advice_on(installed, package("openssl", "3"), compare, has_advisories=has_advisories)

    assert tuple(found) == expected


def test_cves_are_sorted_by_number(redhat: ModuleType) -> None:
    names = ["CVE-2099-10000", "CVE-2098-2", "CVE-2099-9999", "CVE-2098-20000"]
    told = [advisory(SECURITY, "2", *((CVE, name) for name in names))]
    installed = package("openssl", "1", get_advisories=lambda _: told)

    found = redhat.advice_on(installed, package("openssl", "2"), compare, has_advisories=True)

    assert found.cves == ["CVE-2098-20000", "CVE-2099-9999", "CVE-2099-10000"]


def test_a_kernel_installed_beside_the_old_one_is_an_update(redhat: ModuleType) -> None:
    old, kernel, new = package("kernel", "1"), package("kernel", "2"), package("grub", "1")
    gone, tool, tool_old = package("gone", "1"), package("tool", "2"), package("tool", "1")
    transaction = SimpleNamespace(install_set=(kernel, new, tool), remove_set=(gone, tool_old))

    found = redhat.sort_out(transaction, [old, gone, tool_old])

    assert sorted(found.updates) == ["kernel.x86_64", "tool.x86_64"]
    assert ([p.name for p in found.new], [p.name for p in found.removed]) == (["grub"], ["gone"])


def test_reboots_are_read_out_of_the_advisories_of_the_right_package_only(redhat: ModuleType) -> None:
    assert redhat.reboots_advised(updateinfo()) == {"lab-boot": ["0:1.0-2"]}


@pytest.mark.parametrize(
    ("output", "rc", "expected"),
    [
        ("", 0, []),
        (
            "b-1 misses a\na-1-1 is a duplicate with a-1-2\nError: Check discovered 2 problem(s)\n",
            1,
            ["a-1-1 is a duplicate with a-1-2", "b-1 misses a"],
        ),
        ("", 1, ["dnf check ended with an error and said nothing"]),
        ("\x1b[31mError: rpmdb open failed\x1b[0m\n", 1, ["Error: rpmdb open failed"]),
    ],
)
def test_problems_of_the_database_are_read_and_silence_of_a_failure_is_one(
    redhat: ModuleType, output: str, rc: int, expected: list[str]
) -> None:
    assert redhat.parse_check(output, rc) == expected


@pytest.mark.parametrize(
    ("held", "excluded", "replaced", "reason"),
    [
        (True, True, (), "held on the host"),
        (False, True, (), "excluded by the configuration of dnf on the host"),
        (False, False, ("/etc/a",), "would replace configuration changed by hand: /etc/a"),
        (False, False, (), "needs new package lib"),
    ],
)
def test_why_an_update_is_kept_back(
    redhat: ModuleType, *, held: bool, excluded: bool, replaced: tuple[str, ...], reason: str
) -> None:
    pending = package("app", "2", requires=["lib >= 2"])
    everything = redhat.Wanted({}, [package("lib", "2", provides=["lib = 2"])], [])

    told = redhat.kept_back_reason(pending, everything, held=held, excluded=excluded, replaced=replaced)

    assert told == reason


def test_a_foreign_architecture_is_part_of_the_name(redhat: ModuleType) -> None:
    packages = [package("a", "1", "x86_64"), package("b", "1", "noarch"), package("c", "1", "i686")]

    assert [redhat.shown_name(p, "x86_64") for p in packages] == ["a", "b", "c.i686"]


def test_settings_are_as_shipped_changed_or_removed(tmp_path: Path) -> None:
    configuration = role_modules.shared("rpm_configuration")
    file = tmp_path / "app.conf"
    file.write_bytes(b"shipped")
    shipped = hashlib.sha256(b"shipped").hexdigest()
    states = [configuration.state_of(file, shipped, "sha256")]
    file.write_bytes(b"mine")
    states.append(configuration.state_of(file, shipped, "sha256"))
    # A link has no digest of its own.
    states.append(configuration.state_of(file, "0" * 64, "sha256"))
    file.unlink()
    states.append(configuration.state_of(file, shipped, "sha256"))

    assert states == ["as shipped", "changed", "as shipped", "removed"]
