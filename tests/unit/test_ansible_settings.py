"""What Ansible, ssh and the tests are told: ours first, nothing planted, no key taken on trust."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from runner import errors
from runner.addresses import address_problem
from runner.ansible_settings import ansible_environment, kept_environment, ssh_options
from runner.inventory import read_inventory

CARELESS = """\
Host *
  StrictHostKeyChecking no
  UpdateHostKeys yes
  VerifyHostKeyDNS yes
  ForwardAgent yes
  KnownHostsCommand /bin/echo %H
  PermitLocalCommand yes
  ControlPath /tmp/of-somebody-else
"""
INJECTIONS = [
    "-oProxyCommand=touch PWNED",
    "a;touch PWNED",
    "$(touch PWNED)",
    "a\ntouch PWNED",
    "`touch PWNED`",
    "a|touch PWNED",
    "a&touch PWNED",
    "a>PWNED",
    "{{ lookup('pipe', 'touch PWNED') }}",
    "-v",
    "'",
    '"',
    "a b",
]


def test_host_keys_stay_strict_whatever_configuration_and_inventory_say(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(CARELESS, encoding="ascii")
    ours = [f"-o{option}" for option in ssh_options(tmp_path)]
    theirs = ["-o", "StrictHostKeyChecking=no", "-o", "UpdateHostKeys=yes", "-o", "ForwardAgent=yes"]

    told = subprocess.run(
        ["ssh", "-F", str(config), *ours, *theirs, "-G", "host"], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert {
        "stricthostkeychecking true",
        "updatehostkeys false",
        "verifyhostkeydns false",
        "forwardagent no",
        "permitlocalcommand no",
    } <= set(told)
    assert not any("/bin/echo" in line for line in told)
    assert not any("of-somebody-else" in line for line in told)


def test_nothing_of_the_operators_environment_goes_on_but_what_is_listed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ANSIBLE_LIBRARY", "ANSIBLE_VERBOSITY", "ANSIBLE_SSH_ARGS", "SSH_ASKPASS", "API_TOKEN"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("PYTHONPATH", "canary")

    assert (
        "canary" not in {**ansible_environment(tmp_path, tmp_path, tmp_path), **kept_environment()}.values()
    )


@pytest.mark.parametrize("word", INJECTIONS)
def test_no_address_and_no_user_is_an_option_or_a_command(word: str) -> None:
    assert address_problem(word, None)
    assert address_problem(None, word)


@pytest.mark.parametrize("address", ["web1", "10.0.0.1", "fe80::1%eth0", "::1", "host.example.org", None])
def test_ordinary_addresses_are_taken(address: str | None) -> None:
    assert not address_problem(address, "deploy")


@pytest.mark.parametrize("field", ["name", "ansible_host", "ansible_connection", "limit"])
def test_an_inventory_with_such_a_word_is_refused_and_nothing_is_carried_out(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    word = INJECTIONS[0]
    host = word if field == "name" else "web1"
    _write(tmp_path / "hosts.yml", host, {field: word} if field.startswith("ansible_") else {})

    with pytest.raises(errors.InputError):
        read_inventory(tmp_path / "hosts.yml", word if field == "limit" else None)
    assert not list(tmp_path.rglob("PWNED*"))


def _write(inventory: Path, host: str, variables: dict[str, str]) -> None:
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {host: variables}}}), encoding="utf-8")


PLANTED = """\
open({mark!r}, "w").close()
from ansible.plugins.vars import BaseVarsPlugin
class VarsModule(BaseVarsPlugin):
    REQUIRES_ENABLED = False
    def get_vars(self, loader, path, entities):
        return {{}}
"""


def test_nothing_planted_in_cwd_home_or_environment_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "LOADED"
    cwd, home = tmp_path / "cwd", tmp_path / "home"
    for folder in (cwd / "vars_plugins", home / ".ansible/plugins/vars", tmp_path / "env"):
        folder.mkdir(parents=True)
        (folder / "planted.py").write_text(PLANTED.format(mark=str(mark)), encoding="utf-8")
    (cwd / "ansible.cfg").write_text("[defaults]\nvars_plugins = vars_plugins\n", encoding="ascii")
    (home / ".ansible.cfg").write_text(f"[defaults]\nvars_plugins = {tmp_path}/env\n", encoding="ascii")
    inventory = tmp_path / "hosts.yml"
    _write(inventory, "web1", {})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ANSIBLE_VARS_PLUGINS", str(tmp_path / "env"))
    monkeypatch.setenv("ANSIBLE_CONFIG", str(cwd / "ansible.cfg"))
    monkeypatch.chdir(cwd)

    assert read_inventory(inventory).hosts == ("web1",)
    assert not mark.exists()

    # The trap is one: Ansible by itself walks into it.
    program = Path(sys.executable).with_name("ansible-inventory")
    subprocess.run([program, "-i", inventory, "--list"], check=True, capture_output=True, env={**os.environ})
    assert mark.exists()
