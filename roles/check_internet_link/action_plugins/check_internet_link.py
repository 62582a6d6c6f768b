"""Measures by the role's module and judges on the controller."""

from __future__ import annotations

from runner.judges.action import JudgingAction
from runner.judges.internet_link import judge


class ActionModule(JudgingAction):
    """The action behind the task `check_internet_link`."""

    kind = "internet_link"
    judge = staticmethod(judge)
