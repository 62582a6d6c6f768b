"""What the action plugins of the roles that check services share: measure there, judge here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

from runner.judges.base import Finding


class JudgingAction(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Runs the module of the same name and adds the evidence to what it returns.

    The task's argument ``thresholds`` is for the judge alone; the others are the module's. Where ``earlier``
    is among them, it names the controller's file of what earlier runs measured, or is empty.
    """

    kind: ClassVar[str]
    judge: ClassVar[Callable[[Mapping[str, Any], Mapping[str, Any]], list[Finding]]]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, with ``evidence`` when it measured something."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        thresholds = arguments.pop("thresholds")
        if "earlier" in thresholds:
            thresholds = thresholds | {"earlier": _earlier(thresholds["earlier"], task_vars)}
        result: dict[str, Any] = self._execute_module(
            module_name=self._task.action, module_args=arguments, task_vars=task_vars
        )
        facts = result.pop("facts", None)
        if isinstance(facts, dict) and not result.get("failed"):
            findings = type(self).judge(facts, thresholds)
            result["evidence"] = {"kind": self.kind, "facts": facts, "findings": findings}
        return result


def _earlier(path: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
    """Return for each place of the host what earlier runs measured there: [[seconds, bytes], ...]."""
    if not path or task_vars is None:
        return {}
    told: dict[str, Any] = json.loads(Path(path).read_bytes()).get(task_vars["inventory_hostname"], {})
    return told
