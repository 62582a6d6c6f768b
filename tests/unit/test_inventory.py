"""The inventory: what Ansible says of it is what a run works on."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from runner import errors
from runner.inventory import read_inventory, variables_digests
from runner.own_machine import own_addresses

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


@pytest.mark.parametrize("name", ["hosts.yml", "group_vars/all.yml", "group_vars"])
def test_an_inventory_that_everybody_of_the_machine_may_write_is_refused(inventory: Path, name: str) -> None:
    (inventory / "group_vars").mkdir(exist_ok=True)
    (inventory / "group_vars/all.yml").touch()
    (inventory / name).chmod(0o777)
    with pytest.raises(errors.InputError, match=f"{name} can be written by everybody of this machine"):
        read_inventory(inventory)


def test_an_inventory_without_hosts_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="holds no host"):
        read_inventory(tmp_path)


def test_an_inventory_that_ansible_cannot_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: [\n", encoding="utf-8")
    with pytest.raises(errors.InputError):
        read_inventory(tmp_path)


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("group_vars/all.yml", "a: 1\nb: [1, 2\nc: 3\n", ":3: not valid YAML: "),
        (
            "host_vars/web1/net.yaml",
            "a: 1\n\tb: 2\n",
            ":2: not valid YAML: a tab stands where only spaces may",
        ),
        ("hosts.yml", "all: [\n", ":2: not valid YAML: "),
    ],
)
def test_a_broken_file_of_the_inventory_is_told_with_its_line(
    inventory: Path, name: str, said: str, told: str
) -> None:
    (inventory / name).parent.mkdir(parents=True, exist_ok=True)
    (inventory / name).write_text(said, encoding="utf-8")
    with pytest.raises(errors.InputError) as caught:
        read_inventory(inventory)
    assert str(caught.value).startswith(f"{inventory / name}{told}")


def test_variables_of_an_inventory_that_is_good_may_be_encrypted(inventory: Path) -> None:
    (inventory / "group_vars").mkdir(exist_ok=True)
    text = "rahasia: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nlain: [1\n"
    (inventory / "group_vars" / "all.yml").write_text(text, encoding="utf-8")
    with pytest.raises(errors.InputError, match=r"all\.yml:4: not valid YAML"):
        read_inventory(inventory)


def test_what_an_office_keeps_beside_its_inventory_is_not_read_as_one(inventory: Path) -> None:
    """Ansible would refuse the inventory, and print what it could not read: a password, for one."""
    for name in (
        "otoritas.pem",
        "otoritas.crt",
        "esign.secret",
        "lambang.png",
        "secrets/esign",
        "keys/kabid.p12",
    ):
        path = inventory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("-----BEGIN esign:rahasia\n", encoding="utf-8")
    for name in ("officials.yml", "office.yml", "windows.yml", "notify.yml"):
        (inventory / name).write_text("anything: {}\n", encoding="utf-8")
    assert read_inventory(inventory).hosts


@pytest.mark.parametrize("name", [".hidden", "a/b", "x" * 300])
def test_a_host_whose_evidence_could_not_be_a_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts:\n    '{name}': {{}}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="the host"):
        read_inventory(tmp_path)


def test_hosts_that_differ_only_in_case_are_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all:\n  hosts:\n    web1: {}\n    WEB1: {}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="only in upper and lower case"):
        read_inventory(tmp_path)


# What a plan is decided on with its hosts -------------------------------------------------------------


def test_what_the_inventory_says_of_a_host_has_a_digest_that_only_its_own_words_change(
    inventory: Path,
) -> None:
    before = variables_digests(inventory, ("web1", "db1"))
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars" / "web1.yml").write_text("ansible_host: 192.0.2.9\n", encoding="utf-8")
    after = variables_digests(inventory, ("web1", "db1"))
    assert after["web1"] != before["web1"]
    assert after["db1"] == before["db1"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("empty: {}", "empty: {hosts: {web1: {}}}"), ("db:\n", "db:\n      vars: {apply_updates_timeout: 9}\n")],
)
def test_a_host_s_groups_and_their_variables_are_its_own_words(inventory: Path, old: str, new: str) -> None:
    before = variables_digests(inventory, ("web1", "db1"))
    (inventory / "hosts.yml").write_text(HOSTS.replace(old, new), encoding="utf-8")
    after = variables_digests(inventory, ("web1", "db1"))
    assert [host for host in before if before[host] != after[host]] == ["web1" if "web1" in new else "db1"]


def test_another_password_is_no_other_host_and_another_new_host_neither(inventory: Path) -> None:
    before = variables_digests(inventory, ("web1",))
    (inventory / "group_vars").mkdir()
    (inventory / "group_vars" / "all.yml").write_text("ansible_become_password: x\n", encoding="utf-8")
    (inventory / "hosts.yml").write_text(HOSTS.replace("{db1: {}}", "{db1: {}, db2: {}}"), encoding="utf-8")
    assert variables_digests(inventory, ("web1",)) == before


def test_a_host_that_the_inventory_has_lost_has_no_digest(inventory: Path) -> None:
    assert list(variables_digests(inventory, ("web1", "gone1"))) == ["web1"]


# The machine that Rawat runs on ----------------------------------------------------------------------


def controllers(folder: Path, hosts: str) -> tuple[str, ...]:
    (folder / "hosts.yml").write_text(f"all:\n  hosts:\n{hosts}", encoding="utf-8")
    return read_inventory(folder).controllers


def test_a_host_without_a_connection_of_its_own_is_no_controller(inventory: Path) -> None:
    assert read_inventory(inventory).controllers == ()


def test_a_local_connection_makes_a_host_a_controller(tmp_path: Path) -> None:
    hosts = "    web1: {}\n    ctl1: {ansible_connection: local}\n"
    assert controllers(tmp_path, hosts) == ("ctl1",)


@pytest.mark.parametrize("place", ["host_vars/ctl1.yml", "group_vars/office.yml"])
def test_a_local_connection_is_seen_wherever_the_inventory_says_it(inventory: Path, place: str) -> None:
    (inventory / place).parent.mkdir()
    (inventory / place).write_text("ansible_connection: local\n", encoding="utf-8")
    (inventory / "hosts.yml").write_text(
        "all:\n  hosts: {web1: {}}\n  children:\n    office:\n      hosts: {ctl1: {}}\n", encoding="utf-8"
    )
    assert read_inventory(inventory).controllers == ("ctl1",)


def test_a_play_that_works_from_here_makes_no_controller(inventory: Path) -> None:
    """A printer is checked from here by a play of its own; the inventory says nothing of a connection."""
    assert controllers(inventory, "    printer1: {ansible_host: 192.0.2.9}\n") == ()


def test_a_service_that_this_machine_offers_is_no_controller(inventory: Path) -> None:
    (inventory / "hosts.yml").write_text(
        "all:\n  children:\n    websites:\n      hosts:\n        site1: {ansible_host: 127.0.0.1}\n",
        encoding="utf-8",
    )
    assert read_inventory(inventory).controllers == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", socket.gethostname().upper()])
def test_ssh_to_an_address_of_this_machine_makes_a_controller(tmp_path: Path, address: str) -> None:
    assert controllers(tmp_path, f"    ctl1: {{ansible_host: '{address}'}}\n") == ("ctl1",)


def test_every_address_of_this_machine_is_its_own() -> None:
    shown = json.loads(subprocess.check_output(["/usr/bin/env", "ip", "-j", "address"]))
    addresses = {given["local"] for device in shown for given in device["addr_info"]}
    assert addresses
    assert addresses <= own_addresses()


def test_without_the_program_ip_only_loopback_and_name_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_named: None)
    assert own_addresses() == {"localhost", socket.gethostname().lower(), "127.0.0.1", "::1"}


@pytest.mark.parametrize(
    "said",
    [
        "ansible_host: 127.0.0.1, ansible_port: 2222",
        "ansible_host: 127.0.0.1, ansible_ssh_common_args: '-o ProxyJump=gate'",
        "ansible_host: 127.0.0.1, ansible_ssh_extra_args: '-o ProxyCommand=\"nc %h 22\"'",
        "ansible_host: 192.0.2.9",
        "ansible_host: '{{ where }}'",
    ],
    ids=["another port", "over a jump host", "through a program", "another address", "a template"],
)
def test_what_may_lead_to_another_machine_makes_no_controller(tmp_path: Path, said: str) -> None:
    assert controllers(tmp_path, f"    ctl1: {{{said}}}\n") == ()


@pytest.mark.parametrize("limit", ["", "  "])
def test_an_empty_limit_is_not_all_hosts(inventory: Path, limit: str) -> None:
    with pytest.raises(errors.InputError, match="--limit is empty"):
        read_inventory(inventory, limit)


@pytest.mark.parametrize("limit", ["web1,wbe2", "web1,!wbe2", "web:&wbe2"])
def test_every_term_of_a_limit_names_something(inventory: Path, limit: str) -> None:
    with pytest.raises(errors.InputError, match=r"wbe2|holds no host"):
        read_inventory(inventory, limit)


def test_a_part_of_the_inventory_that_ansible_would_skip_is_refused(inventory: Path) -> None:
    path = inventory / "hosts.yml"
    path.write_text(HOSTS.replace("children:\n        canary", "chidren:\n        canary"), encoding="utf-8")
    with pytest.raises(errors.InputError, match=r"Skipping unexpected key \(chidren\) in group \(web\)"):
        read_inventory(inventory)
