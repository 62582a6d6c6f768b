"""No secret is told anywhere: row 39 of the fault table.

Each slot that takes a secret gets a canary of its own. A backup is made, fails, and is refused; meanwhile the
arguments of every process of the machine (the hosts' among them) are looked at every 50 ms.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab import driver
from runner.executors.base import ActionRequest, HostResult
from runner.executors.playbook import PlaybookExecutor
from runner.executors.verification import VerificationExecutor
from runner.files import make_private_dir

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
LAB = "secrets"
HOSTS = ("web1", "db1")
# Characters that an address has to quote: each form of the secret differs.
CANARIES = {
    "vault": "Canary/vault+7f3a%1 x",
    "become": "Canary/become+91bc%2 x",
    "url": "Canary-url-4c55d0",
    "environment": "Canary/environment+aa10%3 x",
    "loop": "Canary/loop+5e02%4 x",
    "vault password": "Canary/vaultword+77de%5 x",
}
ASK = """\
- name: Use the secrets as an office might
  hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Write a password file
      ansible.builtin.copy:
        content: "{{ office_secret }}"
        dest: /root/office-secret
        mode: "0600"
      no_log: true
    - name: Loop over secrets
      ansible.builtin.debug:
        msg: "{{ item | length }}"
      loop: ["{{ office_loop }}"]
      no_log: true
    - name: Remove it
      ansible.builtin.file:
        path: /root/office-secret
        state: absent
    - name: Fail
      ansible.builtin.command: /bin/false
      changed_when: false
"""


def forms(secret: str) -> set[bytes]:
    """Return a secret as it may stand somewhere: raw, quoted, and in base64 at each of three places."""
    raw = secret.encode()
    whole = {raw, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode()}
    for before in range(3):
        coded = base64.b64encode(b"x" * before + raw)
        # What depends on the neighbours is left out.
        whole.add(coded[4 if before else 0 : len(coded) - 4])
    return whole


@dataclass
class Spy(threading.Thread):
    """Reads the arguments of every process of the machine every 50 ms."""

    seen: set[bytes]
    ended: threading.Event

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.ended.wait(0.05):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        self.seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue


@pytest.fixture(scope="module", name="inventory")
def _inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    inventory = tmp_path_factory.mktemp("secrets") / "inventory"
    driver.up(driver.Wish(name=LAB, count=2, inventory=inventory))
    yield inventory
    driver.down(LAB)


def encrypted(inventory: Path, folder: Path) -> Path:
    """Put the secrets of an office into an encrypted file of the inventory; return its password file."""
    password = folder / "vault-password"
    password.write_text(CANARIES["vault password"] + "\n", encoding="utf-8")
    password.chmod(0o600)
    secrets = inventory / "group_vars/all/secrets.yml"
    words = {
        "office_secret": CANARIES["vault"],
        "ansible_become_password": CANARIES["become"],
        "office_loop": CANARIES["loop"],
    }
    secrets.write_text(yaml.safe_dump(words), encoding="utf-8")
    program = Path(sys.executable).with_name("ansible-vault")
    subprocess.run([program, "encrypt", "--vault-password-file", password, secrets], check=True, timeout=60)
    return password


def own_secrets(inventory: Path) -> dict[str, str]:
    """Return what the lab made itself: the backup's passwords and the middle of the ssh key."""
    kept = {path.name: path.read_text(encoding="utf-8").strip() for path in (inventory / "secrets").iterdir()}
    key = (inventory / "keys/ssh_lab").read_text(encoding="ascii").splitlines()
    return {**kept, "ssh key": key[2]}


def request(folder: Path, inventory: Path, playbook: Path) -> ActionRequest:
    work = make_private_dir(folder / f"{playbook.stem}-{len(list(folder.iterdir()))}")
    return ActionRequest(
        run="2026-11-21-secrets-1",
        step=1,
        attempt=1,
        part="action",
        hosts=HOSTS,
        inventory=inventory,
        work=work,
        host_state=make_private_dir(work / "host_state"),
        playbook=playbook,
        suite=ROOT / "tests" / "post_update",
        timeout=600,
    )


def run_all(folder: Path, inventory: Path) -> list[HostResult]:
    """Back up, use secrets and fail, test, and back up to an address with credentials in it."""
    playbooks = PlaybookExecutor(ROOT)
    ask = folder / "ask.yml"
    ask.write_text(ASK, encoding="utf-8")
    results: list[HostResult] = []
    for playbook in (ROOT / "playbooks/backup-hosts.yml", ask):
        results += playbooks.execute(request(folder, inventory, playbook), lambda _event: None)
    asked = request(folder, inventory, ask)
    results += VerificationExecutor().execute(asked, lambda _event: None)
    address = f"rest:http://office:{CANARIES['url']}@192.0.2.1:8000/"
    extra = inventory / "group_vars/all/repository.yml"
    extra.write_text(yaml.safe_dump({"back_up_host_repository": address}), encoding="utf-8")
    lab = inventory / "group_vars/all/lab.yml"
    kept = lab.read_text(encoding="utf-8")
    lab.write_text(
        "\n".join(line for line in kept.splitlines() if not line.startswith("back_up_host_repository")),
        encoding="utf-8",
    )
    again = request(folder, inventory, ROOT / "playbooks/backup-hosts.yml")
    results += playbooks.execute(again, lambda _event: None)
    return results


def test_no_secret_is_told_anywhere(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(encrypted(inventory, tmp_path)))
    monkeypatch.setenv("ANSIBLE_VERBOSITY", "4")
    monkeypatch.setenv("ANSIBLE_DISPLAY_ARGS_TO_STDOUT", "True")
    monkeypatch.setenv("ANSIBLE_NO_LOG", "False")
    monkeypatch.setenv("OFFICE_TOKEN", CANARIES["environment"])
    runs = make_private_dir(tmp_path / "runs")
    spy = Spy(set(), threading.Event())
    spy.start()

    results = run_all(runs, inventory)
    spy.ended.set()
    spy.join()

    statuses = [result.status for result in results]
    assert statuses[:4] == ["ok", "ok", "failed", "failed"], [str(r.failure) for r in results]
    assert statuses[6:] == ["failed", "failed"]
    secrets = {**CANARIES, **own_secrets(inventory)}
    told = {
        "results": repr(results).encode(),
        "arguments": b"\n".join(spy.seen),
        **{str(path): path.read_bytes() for path in runs.rglob("*") if path.is_file()},
        **{host: on_host(inventory, host) for host in HOSTS},
    }
    found = [
        (name, where)
        for name, secret in secrets.items()
        for where, text in told.items()
        if any(form in text for form in forms(secret))
    ]
    assert found == []
    assert len(spy.seen) > 50


def on_host(inventory: Path, host: str) -> bytes:
    """Return what stands on a host where work of ours leaves something, and its log as text."""
    address = next(h.address for h in driver.look(driver.load(LAB)).hosts if h.name == host)
    options = [
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={inventory}/known_hosts",
        "-i",
        str(inventory / "keys/ssh_lab"),
    ]
    places = "var/lib/rawat tmp var/tmp root run/systemd/transient etc/restic dev/shm"
    look = (
        "journalctl --quiet --output=export --all;"
        f"tar -C / -cf - --ignore-failed-read --warning=no-file-changed {places} 2>/dev/null; true"
    )
    done = subprocess.run(
        ["ssh", *options, f"root@{address}", look],
        check=True,
        capture_output=True,
        timeout=120,
        env={"PATH": os.environ["PATH"]},
    )
    return done.stdout
