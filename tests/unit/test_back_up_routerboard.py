"""The export of a router, asked of RouterOS 6 and 7 in the words of each: the real role, a pretended ssh."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from played import ROOT, Played, play
from routeros_emulator import SECRETS, VERSION, VERSION_6, shell_files

END = "# rawat: end of the export\n"
ROUTERS = {
    "enam": (VERSION_6, False),
    "enam-rahasia": (VERSION_6, True),
    "tujuh": (VERSION, False),
    "tujuh-rahasia": (VERSION, True),
    "aneh": ("bad command name resource (line 1 column 15)", False),
}
"""Name -> what it says for its version, and whether its secrets are wanted."""
# Ansible calls it with options, the router's name and the command.
SSH = """\
#!/bin/sh
for word; do router=$command; command=$word; done
exec "{folder}/$router/shell" -c "$command"
"""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("routers")
    for name, (version, _) in ROUTERS.items():
        (folder / name).mkdir()
        for file, text in shell_files(version).items():
            (folder / name / file).write_text(text, encoding="utf-8")
        (folder / name / "shell").chmod(0o755)
    (folder / "ssh").write_text(SSH.format(folder=folder), encoding="utf-8")
    (folder / "ssh").chmod(0o755)
    return folder


@pytest.fixture(name="played", scope="module")
def _played(folder: Path) -> Played:
    hosts = {name: {"back_up_routerboard_secrets": wanted} for name, (_, wanted) in ROUTERS.items()}
    common = {
        "ansible_ssh_executable": str(folder / "ssh"),
        "back_up_routerboard_directory": str(folder / "backups"),
        "back_up_routerboard_tag": "2026-11-21-contoh-1",
    }
    inventory = {"all": {"children": {"routerboards": {"hosts": hosts, "vars": common}}}}
    (folder / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    playbook = str(ROOT / "playbooks" / "backup-hosts.yml")
    command = [ansible, "--inventory", str(folder / "hosts.json"), playbook]
    return play(command, folder / "channel", seconds=120)


@pytest.mark.parametrize("router", [name for name in ROUTERS if name != "aneh"])
def test_a_configuration_is_kept_with_its_secrets_only_where_they_are_wanted(
    played: Played, folder: Path, router: str
) -> None:
    """RouterOS 6 exports passwords unless it is told not to, and 7 does not unless it is told to."""
    version, is_wanted = ROUTERS[router]

    kept = folder / "backups" / router / "2026-11-21-contoh-1.rsc"

    assert played.failures.get(router) is None
    assert kept.read_text() == shell_files(version)["export"] + (SECRETS if is_wanted else "") + END
    assert f"RouterOS {version.partition(' ')[0]}" in kept.read_text().splitlines()[0]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert played.evidence[router]["back_up_routerboard"]["file"] == f"{router}/2026-11-21-contoh-1.rsc"
    assert "kata-sandi-ppp" not in played.output


def test_a_router_that_does_not_tell_its_version_is_not_guessed_about(played: Played, folder: Path) -> None:
    assert "does not tell its version" in played.failures["aneh"]
    assert not (folder / "backups" / "aneh").exists()
