"""Which known disturbances a run cures by itself: what was proposed, and what of it is signed for. Pure.

1. Nothing is allowed by itself. A cure is allowed when the newest signed form of the row that the SOP names
   says so, by the cure's name; a form that nobody signed, or that was turned down, allows nothing.
2. What is done is exactly what was proposed: the entries go to the hosts as these published them.
3. What is not allowed, or has no known cure, is told with the rest and goes the SOP's other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from runner.findings import Results
from runner.journal import Event
from runner.repair_sentences import NAMES
from runner.repairs import CureCode
from runner.sop import Cures
from runner.state import RunState
from runner.waves import in_natural_order

FORMAT = 1
NO_CURE, NOT_ALLOWED = "no_cure", "not_allowed"
"""Why a disturbance that was proposed is not cured."""

NOTHING_LEFT = "what was disturbed was cured, and was found well when it was looked at again"
"""Why a form is not asked for."""

_CODES: Mapping[str, CureCode] = {name: code for code, name in NAMES.items()}


def assignment(state: RunState, cures: Cures) -> tuple[Event, Event] | None:
    """Return the form that names the allowed cures and the decision that signed it; None: nobody did."""
    made = next((one for one in reversed(state.decisions) if one["step"] == cures.allowed_by), None)
    if made is None or state.sop.turns_down(state.sop.step(cures.allowed_by), made["outcome"]):
        return None
    at = made["step"], made["attempt"]
    earlier = [form for form in state.forms.filled if form.seq < made.seq]
    signed = [form for form in earlier if (form["step"], form["attempt"]) == at]
    return (signed[-1], made) if signed else None


def allowed_codes(cures: Cures, said: Mapping[str, Any]) -> list[CureCode]:
    """Return the cures that a filled form names, in the order in which they are known."""
    named = said["answers"].get(cures.field, [])
    return [code for name, code in _CODES.items() if name in named]


def unknown_names(choices: Iterable[str]) -> list[str]:
    """Return the choices of a form that name no cure."""
    return [choice for choice in choices if choice not in _CODES]


def due(
    state: RunState,
    events: Iterable[Event],
    at: tuple[int, int],
    read: Callable[[Mapping[str, str]], dict[str, Any]],
) -> dict[str, Any]:
    """Return the proposal that a row's look for disturbances and its signed form come to.

    Args:
        state: the run's, at that moment.
        events: the records up to then.
        at: the row and its attempt.
        read: gives what a file of the record says, by its path and digest.

    Raises:
        LookupError: when the row cures nothing.
    """
    step, attempt = at
    action = state.sop.step(step).action
    if action is None or action.cures is None:
        raise LookupError(f"row {step} cures nothing")
    looked = [
        read(entry)
        for event in events
        if event.name == "action_finished"
        and (event["step"], event["attempt"], event["kind"]) == (step, attempt, "propose")
        for entry in event["evidence"]
    ]
    signed = assignment(state, action.cures)
    form = signed[0]["files"][0] if signed else None
    allowed = allowed_codes(action.cures, read(form)) if form else []
    return proposal({"run": state.run, "step": step, "attempt": attempt}, allowed, form, looked)


def proposal(
    at: Mapping[str, Any], allowed: Sequence[str], form: Mapping[str, str] | None, evidence: Iterable[Any]
) -> dict[str, Any]:
    """Return what the file of a proposal says.

    Args:
        at: ``run``, ``step`` and ``attempt``.
        allowed: the codes of the cures that are allowed.
        form: path and digest of the signed form that allows them, None when there is none.
        evidence: what the look at each host came to.
    """
    hosts: dict[str, list[dict[str, Any]]] = {}
    left: dict[str, list[dict[str, str]]] = {}
    not_looked: dict[str, str] = {}
    for told in evidence:
        entries = _entries(told)
        if entries is None:
            failure = told["failure"] or {"message": "told nothing of its disturbances"}
            not_looked[told["host"]] = f"{told['status']}: {failure['message']}"
            continue
        do = [entry for entry in entries if entry["cure"] in allowed]
        stays = [{"id": e["id"], "why": _why(e)} for e in entries if e["cure"] not in allowed]
        hosts |= {told["host"]: do} if do else {}
        left |= {told["host"]: stays} if stays else {}
    return {
        "format": FORMAT,
        **{key: at[key] for key in ("run", "step", "attempt")},
        "form": dict(form) if form else None,
        "allowed_cures": list(allowed),
        "hosts": {host: {"repairs": hosts[host]} for host in in_natural_order(hosts)},
        "left": left,
        "not_looked": not_looked,
    }


def hosts_to_cure(proposed: Mapping[str, Any]) -> list[str]:
    """Return the hosts on which something is to be cured."""
    return list(in_natural_order(proposed["hosts"]))


def _entries(told: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the disturbances of a host as it published them; None when it was not looked at, or is odd."""
    try:
        found = Results.model_validate(told["results"]).repair_host
    except ValidationError:
        return None
    if told["status"] != "ok" or found is None:
        return None
    return [
        {**entry, "id": known.id, "cure": known.cure}
        for entry, known in zip(told["results"]["repair_host"].get("repairs", []), found.repairs, strict=True)
    ]


def _why(entry: Mapping[str, Any]) -> str:
    return NOT_ALLOWED if entry["cure"] else NO_CURE
