"""Measures by the role's module and judges on the controller."""

from __future__ import annotations

from runner.judges.action import JudgingAction
from runner.judges.printer import judge


class ActionModule(JudgingAction):
    """The action behind the task `check_printer`."""

    kind = "printer"
    judge = staticmethod(judge)
