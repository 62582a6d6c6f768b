"""The hosts of the campaign about going back, and playbooks on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import labs
from office_services import put
from played import Played, play
from testinfra.host import Host

LAB = "laddercampaign"
HOST = "web1"
RUN = "2026-11-22-ladder-1"
SECONDS = 300

MAKE_PACKAGE = """\
set -e; rm -rf /srv/conf; mkdir -p /srv/conf/tree/DEBIAN /srv/conf/tree/etc/conf.d; cd /srv/conf
cat > tree/DEBIAN/control << END
Package: conf
Version: {version}
Architecture: all
Maintainer: Lab <lab@example.invalid>
Description: files
END
printf "/etc/conf.ini\\n/etc/conf.d/other.ini\\n" > tree/DEBIAN/conffiles
echo "{text}" > tree/etc/conf.ini; echo "{text} other" > tree/etc/conf.d/other.ini
cat > tree/DEBIAN/postinst << 'END'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -n "$2" ]; then cat /etc/conf.ini > /etc/conf.seen; fi
END
chmod 755 tree/DEBIAN/postinst; dpkg-deb -b tree conf_{version}.deb >/dev/null; rm -r tree
apt-ftparchive packages . > Packages
echo 'deb [trusted=yes] file:/srv/conf ./' > /etc/apt/sources.list.d/conf.list
apt-get update -q >/dev/null
"""
"""A package of two configuration files; its script writes a third one, as the first one was then."""


@dataclass
class LadderField:
    """A lab and a folder for what a test writes."""

    inventory: Path
    folder: Path
    seconds: int = SECONDS
    """What one playbook may take."""

    def fresh(self) -> Host:
        """Put the host back to how it came up and return a connection to it."""
        return labs.fresh(LAB, self.inventory, HOST)

    def with_package(self) -> Host:
        """Return a fresh host with an old package of files, of which only the new one is offered."""
        host = self.fresh()
        self.offer(host, "5.0-1", "old")
        host.check_output(
            "apt-get install -y -q conf=5.0-1 && echo mine > /etc/conf.ini && echo by hand > /etc/conf.seen"
        )
        self.offer(host, "6.0-1", "new")
        return host

    def offer(self, host: Host, version: str, text: str) -> None:
        """Make the host itself offer the package, and no other version of it."""
        put(host, "/root/make", MAKE_PACKAGE.format(version=version, text=text))
        host.check_output("sh /root/make")

    def plan(self, *updates: tuple[str, str, str], conffiles: tuple[dict[str, str], ...] = ()) -> Path:
        """Write an approved plan."""
        named = [{"package": p, "from": a, "to": b, "reboot": False} for p, a, b in updates]
        entry = {"updates": named, "antivirus": None, "conffiles": list(conffiles), "new_packages": [],
                 "reboot": {"expected": False, "because": []}}  # fmt: skip
        path = self.folder / "plan.json"
        path.write_text(json.dumps({"format": 1, "run": RUN, "hosts": {HOST: entry}, "not_planned": {}}))
        return path

    def play(self, playbook: str, *, check: bool = False, **variables: object) -> Played:
        """Run a playbook on the host."""
        said = {"rawat_run": RUN, "rawat_plan": str(self.folder / "plan.json"), **variables}
        words = labs.command(playbook, HOST, said, self.inventory, check=check)
        return play(words, self.folder / "channel.jsonl", seconds=self.seconds)

    def evidence(self, playbook: str, **variables: object) -> dict[str, Any]:
        """Run a playbook that has to succeed and return what the host published."""
        played = self.play(playbook, **variables)
        assert played.failures == {}, played.output
        return played.evidence[HOST]
