"""One action asks all hosts: what a host is or does costs that host only, and what the row costs is counted.

Counts of processes, round trips and bytes, never seconds: the quick form of `make bench BENCH=check`.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scenarios.lines import Line, Row

ROOT = Path(__file__).parents[2]
# The first one decides nothing for the others: Ansible runs the task with its variables.
HOSTS: dict[str, dict[str, object]] = {
    "broken": {"ansible_host": "{{ never_said }}"},
    "hung": {"check_host_timeout": -9},
    "stuck": {"ansible_connection": "local", "check_host_timeout": -9},
    "silent": {},
    "flood": {},
    "liar": {},
    "wrong": {"check_host_timeout": "soon"},
    "plain": {},
    "named": {
        "ansible_host": "192.0.2.7",
        "ansible_user": "{{ 'ad' + 'min' }}",
        "ansible_port": 2222,
        "ansible_ssh_common_args": "-o ProxyJump=gate.example -o StrictHostKeyChecking=no",
    },
    "escalated": {"ansible_become": True, "check_host_disk_warning_percent": 0},
    "here": {"ansible_connection": "local"},
    "not-asked": {},
}
EXPECTED = {
    "broken": ("failed", "'never_said' is undefined"),
    "hung": ("failed", "Timed out after 1 second(s)."),
    "stuck": ("failed", "Timed out after 1 second(s)."),
    "silent": ("unreachable", "No route to host"),
    "flood": ("failed", "[truncated] the host sent more than 1000000 bytes in answer to one command"),
    "liar": ("failed", "the host's answer"),
    "wrong": ("failed", "check_host_timeout"),
    "plain": ("ok", ""),
    "named": ("failed", "the host did not answer what it was asked"),
    "escalated": ("ok", ""),
    "here": ("ok", ""),
}
GOOD = [host for host, (status, _) in EXPECTED.items() if status == "ok"]
# Over ssh; the others are wrong before they are asked, or are this machine.
LINES = {"hung", "silent", "flood", "liar", "plain", "named", "escalated"}


def wishes(row: Row, host: str) -> list[list[str]]:
    """Return with which arguments ssh was called for a host."""
    address = str(HOSTS[host].get("ansible_host", host))
    return [call["argv"] for call in row.line.called(address) if "argv" in call]


@pytest.fixture(scope="module", name="row")
def _row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("batch")
    line = Line(folder)
    line.write(HOSTS | {"stuck": HOSTS["stuck"] | {"ansible_python_interpreter": str(line.sleeper)}})
    return line.row([*EXPECTED], playbook="check-hosts.yml")


@pytest.mark.parametrize("host", EXPECTED)
def test_what_a_host_does_is_told_of_that_host(row: Row, host: str) -> None:
    status, why = EXPECTED[host]

    assert row.results[host]["status"] == status
    assert why in row.results[host]["why"]
    assert [*row.results[host]["results"]] == (["check_host"] if status == "ok" else [])


def test_a_host_costs_one_program_and_one_round_trip(row: Row) -> None:
    assert {host: len(wishes(row, host)) for host in HOSTS} == {host: int(host in LINES) for host in HOSTS}
    # Ansible, the one process of its task, and what lists libraries: however many hosts there are.
    assert row.processes == {
        "python": 2,  # the warden, and ansible-runner
        "ansible-playbook": 1,
        "ldconfig": 1,
        "fork": 1,
        "ssh": len(LINES),
        "sh": 2,  # the hosts that are this machine
    }
    [_, line] = row.line.called("plain")
    # The probe and its modules, and what it tells of this machine.
    assert 20_000 < line["sent"] < 60_000
    assert 1_000 < line["answered"] < 100_000


def test_a_host_is_asked_over_its_own_connection(row: Row) -> None:
    # A host without an address is asked by its name.
    assert wishes(row, "plain")[0][-2] == "plain"
    named = " ".join(wishes(row, "named")[0])
    assert all(word in named for word in ('User="admin"', "Port=2222", "ProxyJump=gate.example"))
    # Ours come first, whatever the inventory says.
    assert named.index("StrictHostKeyChecking=yes") < named.index("StrictHostKeyChecking=no")
    [escalation] = (row.line.calls / "sudo").read_text(encoding="utf-8").splitlines()
    assert "-u root" in escalation
    limits = {host: _disk_limits(row.results[host]) for host in ("plain", "escalated")}
    assert 85 in limits["plain"]
    assert 85 not in limits["escalated"]
    # --limit holds.
    assert {one["host"] for one in row.channel if "host" in one} == set(EXPECTED)


def _disk_limits(result: dict[str, Any]) -> set[float]:
    findings = result["results"]["check_host"]["findings"]
    return {finding["threshold"] for finding in findings if finding["code"] == "disk_space"}


def test_each_host_s_start_is_told_before_its_end_and_evidence_of_good_ones_only(row: Row) -> None:
    told = Counter((one["kind"], one.get("host", "")) for one in row.channel)
    assert told == {
        ("task", ""): 1,
        ("end", ""): 1,
        **{("start", host): 1 for host in EXPECTED},
        **{("host", host): 1 for host in EXPECTED},
        **{("evidence", host): 1 for host in GOOD},
    }
    places = {(one["kind"], one.get("host", "")): place for place, one in enumerate(row.channel)}
    assert all(places["start", host] < places["host", host] for host in EXPECTED)
    name = {"ok": "ok", "failed": "failures", "unreachable": "unreachable"}
    counts = {
        host: {what: n for what, n in each.items() if n} for host, each in row.channel[-1]["hosts"].items()
    }
    assert counts == {host: {name[status]: 1} for host, (status, _) in EXPECTED.items()}


def test_what_was_given_up_is_ended(row: Row) -> None:
    [call] = row.line.called("hung")
    with pytest.raises(ProcessLookupError):
        os.kill(call["pid"], 0)
