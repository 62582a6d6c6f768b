"""What a bench stands on: a lab of its own, the peers in an environment of their own, scratch."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import ansible.module_utils
import yaml

from lab import driver
from lab.layout import DEBIAN_SECURITY, HERMETIC

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BUILD = ROOT / "build" / "bench"
PEERS = BUILD / "peers"
PACKAGES = ("ansible-core==2.19.*", "asyncssh==2.24.*", "mitogen==0.3.54", "pyinfra==3.10.*")
LAB = "bench"
# A lab of its own per profile.
LABS = (LAB, f"{LAB}-{DEBIAN_SECURITY}")


@dataclass(frozen=True)
class Ground:
    """A lab that is up, and how its hosts are reached."""

    lab: str
    inventory: Path
    hosts: dict[str, str]
    """Name -> address."""
    scratch: Path

    @property
    def key(self) -> Path:
        """The ssh key of root on every host."""
        return self.inventory / "keys" / "ssh_lab"

    @property
    def known_hosts(self) -> Path:
        """The hosts' keys."""
        return self.inventory / "known_hosts"

    def write(self, name: str, wish: dict[str, Any]) -> Path:
        """Write what a side is asked for, with how the hosts are reached."""
        reach = {
            "hosts": self.hosts,
            "user": "root",
            "key": str(self.key),
            "known_hosts": str(self.known_hosts),
        }
        path = self.scratch / name
        path.write_text(json.dumps({**reach, **wish}), encoding="utf-8")
        return path

    def peer_inventory(self) -> Path:
        """Write the hosts as a peer's user would: addresses, key, strict host keys, and nothing of ours."""
        options = f"-o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=/dev/null"
        settings = {
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"{options} -o IdentitiesOnly=yes",
        }
        hosts = {host: {"ansible_host": address} for host, address in self.hosts.items()}
        path = self.scratch / "peers.yml"
        path.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": settings}}), encoding="utf-8")
        return path

    def ssh_options(self) -> list[str]:
        """Return how ssh reaches a host: its known key and root's own."""
        options = [
            f"UserKnownHostsFile={self.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
        ]
        return [*(word for option in options for word in ("-o", option)), "-i", str(self.key)]

    def ssh(self, host: str, command: str) -> str:
        """Run a command on a host and return what it prints."""
        argv = ["ssh", *self.ssh_options(), f"root@{self.hosts[host]}", command]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout


def lab_of(count: int, profile: str = HERMETIC) -> Ground:
    """Bring the bench's lab up with so many hosts, unless it is, and return it."""
    name = LAB if profile == HERMETIC else f"{LAB}-{profile}"
    inventory = BUILD / f"{name}-{count}"
    lab = driver.up(driver.Wish(name, count, profile, inventory))
    scratch = BUILD / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    return Ground(lab.name, inventory, {plan.name: lab.address(plan) for plan in lab.hosts}, scratch)


def peers() -> Path:
    """Install the peers, unless they are, and return the folder of their programs."""
    ready = PEERS / ".ready"
    wanted = "\n".join(PACKAGES)
    if not ready.exists() or ready.read_text(encoding="ascii") != wanted:
        shutil.rmtree(PEERS, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        pip = [
            PEERS / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *PACKAGES], check=True)
        ready.write_text(wanted, encoding="ascii")
    return PEERS / "bin"


def peer_versions() -> dict[str, str]:
    """Return the peers' versions."""
    argv = [peers() / "python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    names = {package.split("==")[0] for package in PACKAGES}
    return {item["name"]: item["version"] for item in listed if item["name"] in names}


def each_host(ground: Ground, act: Callable[[str], object]) -> None:
    """Do something for several hosts at once, and raise the first error when all are done."""
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        for done in [pool.submit(act, host) for host in ground.hosts]:
            done.result()


def shared(name: str) -> ModuleType:
    """Return what the roles' modules import as ``ansible.module_utils.NAME``."""
    for folder in ROOT.glob("roles/*/module_utils"):
        if str(folder) not in ansible.module_utils.__path__:
            ansible.module_utils.__path__.append(str(folder))
    return importlib.import_module(f"ansible.module_utils.{name}")


def plugin(path: str) -> ModuleType:
    """Load a plugin of a role, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
