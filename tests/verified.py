"""The tests after an update, run on a host of a lab against what is known of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from played import ROOT, RunPlaybook

from runner.executors.base import ActionRequest, HostResult
from runner.executors.verification import VerificationExecutor

RUN = "2026-11-21-test-1"


class Verified:
    """Tests a host of the lab against what is known of it."""

    def __init__(self, inventory: Path, folder: Path, run_playbook: RunPlaybook) -> None:
        self._inventory, self._folder, self._run_playbook = inventory, folder, run_playbook
        self.known: dict[str, Any] = {}

    def expect(
        self,
        host: str,
        updates: list[dict[str, Any]],
        *,
        antivirus: str = "ClamAV",
        **evidence: dict[str, Any],
    ) -> None:
        """Record the host's baseline as it is now, and what is planned for it."""
        product = {"product": antivirus} if antivirus else None
        plan = {"updates": updates, "antivirus": product, "reboot": {"expected": False}}
        self.known = {"plan": plan, "record_baseline": self._baseline(host), **evidence}

    def _baseline(self, host: str) -> dict[str, Any]:
        played = self._run_playbook("backup-hosts.yml", host, check=True, rawat_run=RUN, rawat_plan="")
        found: dict[str, Any] = played.evidence[host]["record_baseline"]
        return found

    def test(self, host: str, phase: str = "after-update") -> HostResult:
        """Run the suite on the host."""
        number = len(list(self._folder.glob("work-*")))
        state = self._folder / f"state-{number}"
        state.mkdir()
        if self.known:
            (state / f"{host}.json").write_text(json.dumps(self.known))
        request = ActionRequest(
            run=RUN,
            step=8,
            attempt=1,
            part="suite",
            hosts=(host,),
            inventory=self._inventory,
            work=self._folder / f"work-{number}",
            host_state=state,
            suite=ROOT / "tests" / "post_update",
            phase=phase,
            timeout=300,
        )
        return VerificationExecutor().execute(request, lambda _event: None)[0]


def failed_tests(result: HostResult) -> dict[str, str]:
    """Return name and message of each test that did not pass."""
    tests = result.results["verification"]["tests"]
    return {test["name"]: test["message"] for test in tests if test["outcome"] not in {"passed", "skipped"}}
