"""Measures by the role's module and judges on the controller."""

from __future__ import annotations

from runner.judges.action import JudgingAction
from runner.judges.network_device import judge


class ActionModule(JudgingAction):
    """The action behind the task `check_network_device`."""

    kind = "network_device"
    judge = staticmethod(judge)
