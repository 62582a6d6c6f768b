"""The hosts of the services' campaign, and a way to check what runs on them as Rawat does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from labs import command, connection
from played import Played, play
from testinfra.host import Host

from lab import driver
from lab.layout import Lab
from runner.checks import Check, CheckFinding
from runner.sentences import sentence

LAB = "svccampaign"
SECONDS = 180
GROUPS = {
    "check_website": "websites",
    "check_database": "databases",
    "check_network_device": "network_devices",
    "check_routerboard": "routerboards",
    "check_printer": "printers",
    "check_internet_link": "internet_links",
}


@dataclass
class Office:
    """The lab's hosts, and what the office's inventory says of the services on them."""

    lab: Lab
    inventory: Path
    folder: Path
    played: Played | None = field(default=None)

    @classmethod
    def of(cls, inventory: Path) -> Office:
        """Return the lab's hosts for what is made once for many tests."""
        return cls(driver.load(LAB), inventory, inventory)

    def host(self, name: str) -> Host:
        return connection(self.inventory, name)

    def address(self, name: str) -> str:
        return self.lab.address(self.lab.host(name))

    def check(self, role: str, variables: Mapping[str, Any], playbook: str = "check-hosts.yml") -> Check:
        """Check one service by its role and return what the runner would take; it must be worded, too."""
        self.played = self.play(role, {"layanan": variables}, playbook)
        assert self.played.failures == {}, self.played.output
        assert self.played.changed("layanan") == 0
        check = Check.model_validate(self.played.evidence["layanan"][role])
        for finding in check.findings:
            assert not set("{}") & set(sentence(check.kind, finding)), finding
        return check

    def play(self, role: str, hosts: Mapping[str, Mapping[str, Any]], playbook: str) -> Played:
        """Run the playbook on services of one kind."""
        file = self.folder / "office.yml"
        inventory = {GROUPS[role]: {"hosts": {name: dict(said) for name, said in hosts.items()}}}
        file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
        words = command(playbook, ",".join(hosts), {}, self.inventory, file)
        return play(words, self.folder / "channel.jsonl", seconds=SECONDS)


def found(check: Check, code: str, subject: str | None = None) -> CheckFinding:
    """Return the one finding with a code, and a subject if that is given."""
    fitting = [f for f in check.findings if f.code == code and subject in {None, f.subject}]
    assert len(fitting) == 1, [f.model_dump() for f in check.findings]
    return fitting[0]


def not_good(check: Check) -> dict[str, str]:
    """Return code and severity of what was measured and is not good."""
    return {f.code: f.severity for f in check.findings if f.severity not in {"good", "unmeasured"}}
