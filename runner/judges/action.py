"""What the action plugins of the roles that check services share: measure there, judge here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
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
            host = (task_vars or {})["inventory_hostname"]
            thresholds = thresholds | {"earlier": earlier_of(thresholds["earlier"], host)}
        result: dict[str, Any] = self._execute_module(
            module_name=self._task.action, module_args=arguments, task_vars=task_vars
        )
        facts = result.pop("facts", None)
        if isinstance(facts, dict) and not result.get("failed"):
            findings = type(self).judge(facts, thresholds)
            result["evidence"] = {"kind": self.kind, "facts": facts, "findings": findings}
        return result


def earlier_of(path: str, host: str) -> dict[str, Any]:
    """Return for each place of the host what earlier runs measured there: [[seconds, bytes used], ...].

    Args:
        path: the controller's file of all hosts' earlier measurements; empty when there is none.
        host: the host's name in the inventory.
    """
    if not path:
        return {}
    told: dict[str, Any] = _all_of(path).get(host, {})
    return told


@cache
def _all_of(path: str) -> dict[str, Any]:
    """Read the file once for all hosts that one process asks."""
    return dict(json.loads(Path(path).read_bytes()))
