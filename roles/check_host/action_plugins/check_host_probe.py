"""Ansible action: sends the probe to every host in one round trip and judges what it says, on the controller.

The host only measures. It cannot judge itself, it cannot publish evidence, and what it sends is capped and
checked for its form before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load

from runner.batch import Answer, BatchAction, Question, UnreadableError
from runner.judges import computer
from runner.judges.action import earlier_of

_ROLE = Path(__file__).parents[1]
_SHARED = _ROLE.parent / "plan_updates" / "module_utils"
_SOURCES = {
    "certificate_end": _SHARED / "certificate_end.py",
    "clamav_database": _SHARED / "clamav_database.py",
    "running_code": _SHARED / "running_code.py",
    "check_host_probe": _ROLE / "files" / "check_host_probe.py",
}
# Read and made once for all hosts.
_SPECS = (_ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
_INPUTS = yaml_load(_SPECS)["argument_specs"]["main"]["options"]
_CHECKED = ArgumentSpecValidator(_INPUTS)
_WANTED = ("certificates", "backup_marker", "expected_units")
_MARK = "RAWAT-CHECK "
_MOST_BYTES = 500_000
# The probe ends itself before the connection is given up.
_LONGER_SECONDS = 10
# Python reads the probe from the connection: nothing is written to the host, not even compiled code.
_PYTHON_FLAGS = "-I -S -B"
_LOADER = """\
import sys, types
for name, source in {sources!a}.items():
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules["check_host_probe"].main({wanted!a})
"""


class ActionModule(BatchAction):  # type: ignore[misc]  # ansible-core ships no types
    """Looks at the hosts."""

    _VALID_ARGS: frozenset[str] = frozenset()

    def question(self) -> Question:
        """Return the probe with what it is to look for, by the host's inputs."""
        given = {
            name: self._templar.template(self.variables[name]) for name in _INPUTS if name in self.variables
        }
        checked = _CHECKED.validate(given)
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        self.inputs = {
            name.removeprefix("check_host_"): value for name, value in checked.validated_parameters.items()
        }
        wanted = {"seconds": self.inputs["timeout"]} | {name: self.inputs[name] for name in _WANTED}
        command = f"{_python(self.variables)} {_PYTHON_FLAGS} -"
        return Question(command, _program(wanted).encode(), self.inputs["timeout"] + _LONGER_SECONDS)

    def evidence(self, answer: Answer) -> dict[str, Any]:
        """Return ``check_host``: kind, facts and findings."""
        told = _read(answer.said)
        offset = offset_of(told, answer.sent, answer.received)
        earlier = earlier_of(self.inputs["earlier"], self.variables["inventory_hostname"])
        measured = {"facts": told["facts"], "errors": told["errors"]}
        findings = computer.judge(
            {**measured, "now": answer.received, "offset_seconds": offset, "earlier": earlier}, self.inputs
        )
        facts = {
            **told["facts"],
            "errors": told["errors"],
            "clock_offset_seconds": offset,
            "at": answer.received,
        }
        return {"check_host": {"kind": "computer", "facts": facts, "findings": findings}}


def _python(task_vars: dict[str, Any]) -> str:
    given = task_vars.get("ansible_python_interpreter")
    if isinstance(given, str) and given.startswith("/"):
        return given
    fixed = str(constants.config.get_config_value("INTERPRETER_PYTHON"))
    return fixed if fixed.startswith("/") else "/usr/bin/python3"


@cache
def _sources() -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in _SOURCES.items()}


def _program(wanted: dict[str, Any]) -> str:
    """Return the program that is sent: its modules, then the call with what is wanted."""
    # Through JSON: what Ansible hands over are types of its own, which the host does not know.
    return _LOADER.format(sources=_sources(), wanted=json.loads(json.dumps(wanted)))


def _read(answered: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the probe printed; banners before it and noise after it are left aside."""
    lines = [line for line in answered["stdout"].splitlines() if line.startswith(_MARK)]
    if not lines:
        said = " ".join((answered["stderr"] or answered["stdout"]).split())[-500:]
        raise UnreadableError(
            f"the host did not answer what it was asked (it ended with {answered['rc']}): {said}"
        )
    if len(lines[-1]) > _MOST_BYTES:
        raise UnreadableError(
            f"the host answered with {len(lines[-1])} bytes; at most {_MOST_BYTES} are read"
        )
    try:
        answer = json.loads(lines[-1][len(_MARK) :], parse_constant=_refuse)
        parts = [answer[name] for name in ("facts", "errors")]
        times = [answer[name] for name in ("began", "ended")]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableError("the host's answer cannot be read") from error
    if not all(isinstance(part, dict) for part in parts) or not all(isinstance(at, float) for at in times):
        raise UnreadableError("the host's answer has not the form of a check")
    return dict(answer)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def offset_of(answer: dict[str, Any], sent: float, received: float) -> float:
    """Return by how many seconds the host's clock is off at least; 0 when the round trip could explain it."""
    if answer["ended"] > received:
        return round(answer["ended"] - received, 3)
    return round(min(0.0, answer["began"] - sent), 3)
