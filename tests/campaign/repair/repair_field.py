"""One host of a lab on which disturbances are planted, and what proposing and curing them came to."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import labs
from played import Played, play
from testinfra.host import Host

from lab import driver, hosts
from runner import repair_sentences as sentences
from runner.evidence import accepted
from runner.executors.base import HostResult
from runner.repairs import CURE_CODES, Cure, RepairHost

LAB, REDHAT_LAB = "repaircampaign", "repairredhat"
SECONDS = 280
ALL_CURES = list(CURE_CODES)
RUN = "2026-11-21-repair-1"


@dataclass
class Site:
    """A host, what the office expects of it, and the proposal that was approved."""

    lab: str
    name: str
    inventory: Path
    folder: Path
    host: Host
    expected: dict[str, Any] = field(default_factory=lambda: {"repair_host_settle": 1})
    action: int = 0
    played: Played | None = None

    @classmethod
    def fresh(cls, lab: str, name: str, inventory: Path, folder: Path) -> Site:
        return cls(lab, name, inventory, folder, labs.fresh(lab, inventory, name))

    def expect(self, **said: object) -> None:
        """Say in the office's inventory what it expects of the host."""
        self.expected |= {f"repair_host_{name}": value for name, value in said.items()}

    def sh(self, script: str) -> str:
        """Run a script on the host, which must succeed; return what it printed."""
        coded = base64.b64encode(f"set -eu\n{script}".encode()).decode()
        told: str = self.host.check_output(f"echo {coded} | base64 -d | bash")
        return told

    def put(self, path: str, data: bytes, mode: str = "0644") -> None:
        self.sh(f"echo {base64.b64encode(data).decode()} | base64 -d > {path}; chmod {mode} {path}")

    def propose(self) -> RepairHost:
        """Look for disturbances; the proposal is kept as if all of it were approved."""
        found = self._play("propose-repairs.yml")
        assert self.played
        assert (self.played.failures, self.played.changed(self.name)) == ({}, 0), self.played.output
        self.approve(self.played.evidence[self.name]["repair_host"]["repairs"])
        return found

    def approve(self, entries: list[dict[str, Any]]) -> None:
        self.plan.write_text(json.dumps({"hosts": {self.name: {"repairs": entries}}}), encoding="utf-8")

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    def repair(self, *, again: bool = False, cures: list[str] | None = None, **given: Any) -> RepairHost:  # noqa: ANN401 - any variable
        """Do what was approved, as another attempt unless `again`."""
        self.action += 0 if again else 1
        return self._play("repair-hosts.yml", **self.variables(cures), **given)

    def variables(self, cures: list[str] | None = None) -> dict[str, Any]:
        return {
            "rawat_run": RUN,
            "rawat_action": f"4-{self.action}-a",
            "rawat_plan": str(self.plan),
            "rawat_allowed_cures": ALL_CURES if cures is None else cures,
        }

    def command(self, playbook: str, **variables: Any) -> list[str]:  # noqa: ANN401 - any variable
        return labs.command(playbook, self.name, {**self.expected, **variables}, self.inventory)

    def _play(self, playbook: str, *, check: bool = False, **variables: Any) -> RepairHost:  # noqa: ANN401 - any
        command = [*self.command(playbook, **variables), *(["--check"] if check else [])]
        self.played = play(command, self.folder / "channel.jsonl", seconds=SECONDS)
        return self.told(self.played)

    def told(self, played: Played) -> RepairHost:
        """Return what came, as the runner would take it; it must be worded, too."""
        evidence = played.evidence.get(self.name, {})
        taken = accepted(HostResult(self.name, "ok", evidence), changes=False)
        assert taken.failure is None, taken.failure
        assert "repair_host" in evidence, played.output
        found = RepairHost.model_validate(evidence["repair_host"])
        worded = [sentences.disturbance(each) + sentences.proposal(each) for each in found.repairs]
        worded += [sentences.cured(each) for each in found.cures]
        worded += [sentences.unseen(each) for each in (*found.unmeasured, *found.not_here)]
        assert [each for each in worded if set("{}?") & set(each)] == []
        return found

    @property
    def disk(self) -> Path:
        """Where the host's disk is on this machine."""
        lab = driver.load(self.lab)
        return lab.root(lab.host(self.name))

    def cut_power(self) -> None:
        lab = driver.load(self.lab)
        hosts.cut_power(lab, lab.host(self.name))

    @property
    def failure(self) -> str:
        assert self.played
        return self.played.failures.get(self.name, "")

    @property
    def changes(self) -> int:
        assert self.played
        return self.played.changed(self.name)


def outcomes(found: RepairHost) -> dict[str, str]:
    """Return cure -> outcome."""
    return {cure.cure: cure.outcome for cure in found.cures}


def only(found: RepairHost) -> Cure:
    """Return the one cure there was."""
    (cure,) = found.cures
    return cure
