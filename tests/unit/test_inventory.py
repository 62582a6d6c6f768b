"""The inventory: what Ansible says of it is what a run works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import errors
from runner.inventory import read_inventory

HOSTS = """\
all:
  children:
    web:
      hosts: {web10: {}, web2: {}, web1: {}}
      children:
        canary:
          hosts: {web1: {}}
    db:
      hosts: {db1: {}}
    empty: {}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text(HOSTS, encoding="utf-8")
    return tmp_path


def test_hosts_are_in_natural_order(inventory: Path) -> None:
    assert read_inventory(inventory).hosts == ("db1", "web1", "web2", "web10")


def test_groups_hold_the_hosts_of_their_children(inventory: Path) -> None:
    assert read_inventory(inventory).groups == {
        "web": ["web1", "web2", "web10"],
        "canary": ["web1"],
        "db": ["db1"],
    }


def test_a_limit_leaves_its_hosts_in_hosts_and_groups(inventory: Path) -> None:
    found = read_inventory(inventory, "web2,db")
    assert (found.hosts, found.groups) == (("db1", "web2"), {"web": ["web2"], "db": ["db1"]})


def test_a_limit_that_leaves_no_host_is_told(inventory: Path) -> None:
    with pytest.raises(errors.InputError, match="nowhere"):
        read_inventory(inventory, "nowhere")


def test_a_host_that_is_two_services_is_refused(inventory: Path) -> None:
    (inventory / "more.yml").write_text(
        "websites: {hosts: {situs: {}, db1: {}}}\ndatabases: {hosts: {db1: {}}}\n", encoding="utf-8"
    )
    with pytest.raises(errors.InputError, match="the host 'db1' is said to be a website and a database"):
        read_inventory(inventory)


def test_an_inventory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="there is no inventory at"):
        read_inventory(tmp_path / "gone")


def test_an_inventory_without_hosts_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="holds no host"):
        read_inventory(tmp_path)


def test_an_inventory_that_ansible_cannot_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: [\n", encoding="utf-8")
    with pytest.raises(errors.InputError):
        read_inventory(tmp_path)


@pytest.mark.parametrize("name", [".hidden", "a/b", "x" * 300])
def test_a_host_whose_evidence_could_not_be_a_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts:\n    '{name}': {{}}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="the host"):
        read_inventory(tmp_path)


def test_hosts_that_differ_only_in_case_are_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all:\n  hosts:\n    web1: {}\n    WEB1: {}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="only in upper and lower case"):
        read_inventory(tmp_path)
