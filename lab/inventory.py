"""The inventory of a lab: the committed one, and what `lab up` adds to it.

Added, never committed: ssh and officials' keys, known hosts, secrets, and the connection settings,
which hold absolute paths because testinfra reads inventory variables without templating them.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import yaml

from lab import hosts, mail
from lab.command import run
from lab.errors import ImpossibleHereError
from lab.layout import DEFAULT_HOSTS, DEFAULT_NAME, Lab
from lab.services import make_passwords, write_secret

COMMITTED = Path(__file__).resolve().parent.parent / "inventory" / "lab"
OFFICIALS = ("pengelola", "analis", "pranata", "kabid", "kasubbag", "kpa")
# The passphrase of the keys, printed by `lab up`: they are keys of made-up officials of a made-up office.
DEMO_WORDS = "rawat-lab"


def choose_folder(name: str, count: int, asked: Path | None) -> Path:
    """Return where a lab's inventory goes.

    Raises ImpossibleHereError when the committed one does not fit and no other place is named.
    """
    if asked is not None:
        return asked.resolve()
    if name == DEFAULT_NAME and count <= DEFAULT_HOSTS:
        return COMMITTED
    raise ImpossibleHereError(
        f"inventory/lab is for the lab named {DEFAULT_NAME} with up to {DEFAULT_HOSTS} hosts",
        "name a folder for this one with --inventory DIR",
    )


def prepare_folder(lab: Lab) -> None:
    """Fill the inventory folder with what the hosts need before they boot: the keys."""
    folder = lab.inventory
    if folder != COMMITTED:
        for name in ("group_vars", "host_vars"):
            shutil.copytree(COMMITTED / name, folder / name, dirs_exist_ok=True)
        for name in ("officials.yml", "office.yml"):
            shutil.copyfile(COMMITTED / name, folder / name)
        (folder / "hosts.yml").write_text(hosts_file(lab), encoding="utf-8")
    for name in ("keys", "secrets"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    make_key(folder / "keys/ssh_lab", "")
    for name in OFFICIALS:
        make_key(folder / "keys" / name, DEMO_WORDS)
    (folder / "notify.yml").write_text(mail.settings(lab, OFFICIALS), encoding="utf-8")


def make_key(file: Path, passphrase: str) -> None:
    """Make an ssh key unless it is there: what was signed yesterday is checked with it today."""
    if not (file.exists() and file.with_suffix(".pub").exists()):
        file.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", file.name, "-f", file])


def finish_folder(lab: Lab) -> None:
    """Write what is known only now: host keys, connection settings and secrets."""
    folder = lab.inventory
    lines = (hosts.host_key(lab, plan) + "\n" for plan in lab.hosts)
    (folder / "known_hosts").write_text("".join(lines), encoding="ascii")
    (folder / "group_vars/all/connection.yml").write_text(connection_file(lab), encoding="utf-8")
    shutil.rmtree(folder / "secrets")
    (folder / "secrets").mkdir(mode=0o700)
    write_secret(folder / "secrets/restic_password", secrets.token_hex(24) + "\n")
    for name, password in make_passwords(lab).items():
        write_secret(folder / f"secrets/restic_rest_{name}", password + "\n")
    written = ["keys", "secrets", "known_hosts", "notify.yml", "group_vars/all/connection.yml"]
    for top in [folder] if folder != COMMITTED else [folder / name for name in written]:
        give_to_caller(top)
    # ssh makes its control sockets there and does not make the folder.
    sockets = (hosts.caller_home() / hosts.CONTROL_SOCKET).parent
    if not sockets.exists():
        sockets.mkdir(mode=0o700)
        give_to_caller(sockets)


def hosts_file(lab: Lab) -> str:
    """Return the text of hosts.yml for a lab."""
    groups: dict[str, dict[str, dict[str, dict[str, str] | None]]] = {}
    for plan in lab.hosts:
        for group in plan.groups:
            members = groups.setdefault(group, {"hosts": {}})["hosts"]
            members[plan.name] = None
    tree = {
        "all": {
            "vars": {"lab_controller": lab.controller},
            "hosts": {plan.name: {"ansible_host": lab.address(plan)} for plan in lab.hosts},
            "children": groups,
        }
    }
    return "---\n" + yaml.safe_dump(tree, sort_keys=False).replace(": null", ":")


def connection_file(lab: Lab) -> str:
    """Return the connection settings of a lab's hosts, with the paths of this machine."""
    options = {
        "UserKnownHostsFile": f"{lab.inventory}/known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "PasswordAuthentication": "no",
        "ConnectTimeout": "10",
        # A link that is cut in the middle of work is noticed in 20 seconds, not never.
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ControlMaster": "auto",
        "ControlPersist": "60",
        "ControlPath": f"~/{hosts.CONTROL_SOCKET}",
    }
    settings = {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": f"{lab.inventory}/keys/ssh_lab",
        "ansible_ssh_common_args": " ".join(f"-o {key}={word}" for key, word in options.items()),
    }
    head = "---\n# Written by `rawat lab up`; not committed.\n"
    return head + yaml.safe_dump(settings, sort_keys=False, width=10**6)


def give_to_caller(top: Path) -> None:
    """Give files to the person who called sudo, who runs Ansible as themselves."""
    if "SUDO_UID" not in os.environ:
        return
    owner, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    for path in [top, *top.rglob("*")]:
        os.chown(path, owner, group, follow_symlinks=False)
