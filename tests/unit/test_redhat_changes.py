"""The rules for changing a RHEL host that need no host: refused, undone, compared with an order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from role_modules import shared

LISTED = """\
bash\tx86_64\t0\t5.1.8-9.el9\t1700000000
gpg-pubkey\t(none)\t0\t350d275d-6279464b\t1600000000
glibc\tx86_64\t0\t2.34-100.el9\t1700000001
glibc\ti686\t0\t2.34-100.el9\t1700000002
bind-license\tnoarch\t32\t9.16.23-18.el9\t1700000003
kernel-core\tx86_64\t0\t5.14.0-1.el9\t1700000004
kernel-core\tx86_64\t0\t5.14.0-2.el9\t1700000005
"""


@pytest.fixture(autouse=True)
def _untouched_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no configuration be changed by hand: rpm's own answer needs a host."""
    files = shared("rpm_configuration")
    monkeypatch.setattr(files, "changed_by_hand", lambda _name, _arch: files.Changed({}, []))


def test_packages_are_named_as_a_plan_names_them() -> None:
    found = shared("rpm_states").parse(LISTED, "x86_64")

    assert {name: [item.evr for item in there] for name, there in found.items()} == {
        "bash": ["5.1.8-9.el9"],
        "glibc": ["2.34-100.el9"],
        "glibc.i686": ["2.34-100.el9"],
        "bind-license": ["32:9.16.23-18.el9"],
        "kernel-core": ["5.14.0-1.el9", "5.14.0-2.el9"],
    }


def test_a_table_that_is_cut_short_is_no_answer() -> None:
    with pytest.raises(ValueError, match="unpack"):
        shared("rpm_states").parse("bash\tx86_64\t0", "x86_64")


def test_changes_name_what_came_and_what_went() -> None:
    states = shared("rpm_states")
    before = states.parse("a\tnoarch\t0\t1-1\t1\nk\tnoarch\t0\t1-1\t1\ngone\tnoarch\t0\t1-1\t1\n", "x86_64")
    after = states.parse(
        "a\tnoarch\t0\t1-2\t2\nk\tnoarch\t0\t1-1\t1\nk\tnoarch\t0\t1-2\t2\nnew\tnoarch\t0\t3-1\t2\n", "x86_64"
    )

    assert states.changes_between(before, after) == [
        {"package": "a", "from": "1-1", "to": "1-2"},
        {"package": "gone", "from": "1-1", "to": ""},
        {"package": "k", "from": "1-1", "to": "1-2"},
        {"package": "new", "from": "", "to": "3-1"},
    ]


def installed(*versions: str, name: str = "web") -> dict[str, list[Any]]:
    """Return a host on which only these versions of one package are."""
    states = shared("rpm_states")
    return {name: [states.Installed(name, "noarch", evr, 1) for evr in versions]} if versions else {}


def judged(found: dict[str, list[Any]], *, continues: bool = False, **known: set[str]) -> SimpleNamespace:
    install, updates = shared("redhat_install"), shared("approved_updates")
    told = install.Known(known.get("locked", set()), known.get("beside", set()))
    verdict = install.judge([updates.Approved("web", "1-1", "1-2")], found, told, continues=continues)
    return SimpleNamespace(**verdict._asdict())


def names(items: list[Any]) -> list[str]:
    return [item["package"] if isinstance(item, dict) else item.package for item in items]


@pytest.mark.parametrize(
    ("versions", "continues", "expected"),
    [
        (("1-1",), False, (["web"], [], [], [])),
        (("1-2",), False, ([], [], ["web"], [])),
        (("1-1", "1-2"), True, ([], ["web"], [], [])),
        (("1-1", "1-2"), False, ([], [], [], ["web"])),
        (("1-1", "0-9"), True, ([], [], [], ["web"])),
        (("1-3",), False, ([], [], [], ["web"])),
        ((), False, ([], [], [], ["web"])),
    ],
)
def test_only_what_is_as_approved_is_installed(
    versions: tuple[str, ...], expected: tuple[list[str], ...], *, continues: bool
) -> None:
    verdict = judged(installed(*versions), continues=continues)

    assert tuple(names(part) for part in vars(verdict).values()) == expected


def test_a_kernel_stands_beside_its_older_ones() -> None:
    waiting, done = (
        judged(installed("0-9", "1-1"), beside={"web"}),
        judged(installed("1-1", "1-2"), beside={"web"}),
    )

    assert (names(waiting.pending), names(waiting.refused)) == (["web"], [])
    assert (names(done.already), names(done.refused)) == (["web"], [])


def test_a_package_that_was_locked_since_is_refused() -> None:
    assert judged(installed("1-1"), locked={"web"}).refused[0]["reason"].startswith("the package was locked")


def test_settings_that_would_be_replaced_refuse_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    files = shared("rpm_configuration")
    monkeypatch.setattr(files, "changed_by_hand", lambda _name, _arch: files.Changed({}, ["/etc/web.conf"]))

    assert "/etc/web.conf" in judged(installed("1-1")).refused[0]["reason"]


def test_another_package_that_is_there_twice_is_refused_and_a_second_kernel_is_not() -> None:
    found = installed("1-1") | installed("5-1", "5-2", name="kernel-core") | installed("1-1", "1-2", name="x")

    assert names(judged(found, beside={"kernel-core"}).refused) == ["x"]


def order(**packages: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {"comes": [], "goes": [], **packages}


OLD, NEW, OTHER = ("web", "noarch", "1-1"), ("web", "noarch", "1-2"), ("dep", "noarch", "1-1")


@pytest.mark.parametrize(
    ("coming", "going", "said"),
    [
        ([NEW], [OLD], []),
        ([NEW, OTHER], [OLD], ["would also install dep-1-1.noarch"]),
        ([], [OLD], ["would not install web-1-2.noarch"]),
        ([NEW], [OLD, OTHER], ["would also remove dep-1-1.noarch"]),
        ([NEW], [], ["would not remove web-1-1.noarch"]),
    ],
)
def test_every_package_more_or_less_than_ordered_is_told(
    coming: list[tuple[str, str, str]], going: list[tuple[str, str, str]], said: list[str]
) -> None:
    program = shared("redhat_transaction")
    found = [{program.Package(*words) for words in part} for part in (coming, going)]

    assert program.differences(order(comes=[NEW], goes=[OLD]), *found) == said


@pytest.mark.parametrize(
    ("versions", "restored", "reason"),
    [
        (("1-2",), ["web"], ""),
        (("1-1", "1-2"), ["web"], ""),
        (("1-1",), [], ""),
        (("1-3",), [], "version 1-3 is installed, which this plan did not bring"),
        ((), [], "the package is no longer installed"),
    ],
)
def test_only_what_the_plan_brought_is_put_back(
    versions: tuple[str, ...], restored: list[str], reason: str
) -> None:
    rollback, install, updates = (
        shared("redhat_rollback"),
        shared("redhat_install"),
        shared("approved_updates"),
    )
    approved = [updates.Approved("web", "1-1", "1-2")]

    way = rollback.judge(approved, installed(*versions), install.Known(set(), set()), "none")

    assert names(way.restore) == restored
    assert [item["reason"] for item in way.not_undone] == [reason] * bool(reason)


def test_the_running_kernel_is_not_removed() -> None:
    rollback, install, updates = (
        shared("redhat_rollback"),
        shared("redhat_install"),
        shared("approved_updates"),
    )
    approved, found = [updates.Approved("web", "1-1", "1-2")], installed("1-1", "1-2")
    known = install.Known(set(), {"web"})

    running = rollback.judge(approved, found, known, "1-2.noarch")
    other = rollback.judge(approved, found, known, "1-1.noarch")

    assert (running.restore, names(other.restore)) == ([], ["web"])
    assert "the running kernel" in running.not_undone[0]["reason"]


def test_files_of_other_contents_are_read_out_of_what_rpm_verifies() -> None:
    said = (
        "S.5....T.  c /etc/ssh/sshd_config\n"
        ".......T.  c /etc/touched.conf\n"
        "missing     c /etc/gone.conf\n"
        ".M.......  c /etc/other-mode.conf\n"
        "..5....T.  c /etc/a file.conf\n"
    )

    changed = {"/etc/ssh/sshd_config", "/etc/gone.conf", "/etc/a file.conf"}
    assert shared("package_records").changed_by_rpm(said) == changed
