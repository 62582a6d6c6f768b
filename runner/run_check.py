"""Checks the record of one run, in its run folder or in an archive, and names the first thing that is wrong.

In this order: the journal's chain and the shape of its records; every file that the journal names, by its
digest; that what the run was started with fits together; that the records come in the only order the SOP
allows (``runner.replay``); that evidence and plans say what the journal says of them; the signatures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner import conffiles, cures, drift, errors, filled, journal, moves, pades, signing
from runner.annex import MOST_ANNEXES
from runner.bag import PAYLOAD, Payload
from runner.canonical import sha256_hex
from runner.display import display
from runner.events import files_of, require_format, require_shape, signer_of
from runner.findings import is_disturbed
from runner.journal import Event
from runner.moves import SCAN_EXTENSIONS, roster_name
from runner.next_move import next_move
from runner.office_settings import OfficeLook
from runner.officials import Roster
from runner.pdf_signatures import SIGNED
from runner.plan import hosts_to_change
from runner.replay import replay
from runner.rosters import CHANGED, judged
from runner.sop import Sop, parse_sop
from runner.state import RunState
from runner.tree import Tree, list_tree
from runner.trends import Trends
from runner.workspace import RunFolder

JOURNAL, SOP, OFFICIALS, SIGNERS = "journal.jsonl", "sop.yml", "officials.json", "allowed_signers"
OFFICE, TRENDS = "office.json", "trends.json"
_DOCUMENT_KINDS = ("json", "html", "pdf")
_OVERTAKES = frozenset(
    {"run_stopped", "gate_closed", "paper_entered", "vote_made", "decision_made", "form_filled"}
)
"""Events by which something else may come of what was due than what somebody was cut off at."""


@dataclass(frozen=True)
class CheckedRun:
    """A run that holds."""

    tree: Tree
    sop: Sop
    roster: Roster
    events: tuple[Event, ...]
    state: RunState
    recorded: Mapping[str, str]
    """Path -> SHA-256 of every file that belongs to the record, the journal included."""

    @property
    def payload(self) -> Payload:
        """Return the recorded files as an archive holds them."""
        return Payload(self.recorded, sum(self.tree.files[path] for path in self.recorded))


def checked_run(folder: RunFolder) -> CheckedRun:
    """Return the run in its folder, closed or not, once it is sure that it holds.

    Raises:
        VerificationError: naming the first thing that is wrong, by its path in the run folder.
    """
    run = _check(list_tree(folder.path, without=folder.work.name))
    # In an archive, and only there, the folder is not named after the run.
    if folder.name not in {run.state.run, PAYLOAD}:
        raise errors.VerificationError(f"{JOURNAL}:1", f"is the journal of {display(run.state.run)}")
    _require_accounted(run.tree, {*run.recorded, *_under_way(run)})
    return run


def closed_run(tree: Tree) -> CheckedRun:
    """Return the closed run in an archive, beside whose record nothing else may stand.

    Raises:
        VerificationError: naming the first thing that is wrong.
    """
    run = _check(tree)
    _require_accounted(run.tree, set(run.recorded))
    if run.state.finished is None:
        raise errors.VerificationError(JOURNAL, "is of a run that is not closed")
    return run


def _check(tree: Tree) -> CheckedRun:
    """Check a run's record; which files may stand beside it is for the caller."""
    content = tree.read(JOURNAL)
    events = _events(content)
    recorded = _recorded(events, tree, content)
    for path, digest in recorded.items():
        if tree.sha256(path) != digest:
            raise errors.VerificationError(display(path), "is not the file that the journal names")
    roster, sop = Roster.from_snapshot(tree.read(OFFICIALS), OFFICIALS), _sop(tree)
    _require_start(events[0], roster)
    Trends.from_snapshot(tree.read(TRENDS), TRENDS)
    look = OfficeLook.from_snapshot(tree.read(OFFICE), OFFICE)
    _require_look(events[0], look, roster)
    if tree.read(SIGNERS) != roster.allowed_signers():
        raise errors.VerificationError(SIGNERS, f"does not hold the keys of {OFFICIALS}")
    decisions = [event for event in events if "statement" in event.fields]
    named = [made["statement"] for made in decisions]
    named += [event["roster"] for event in events if event.name == CHANGED]
    statements = {entry["path"]: tree.read(entry["path"]) for entry in named}
    state = replay(sop, roster, events, statements, JOURNAL)
    for event in events:
        _require_content(event, state.run, events[0]["sop"]["sha256"], tree)
        if event.name == "form_filled":
            _require_form(event, sop, tree)
    _require_comparisons(events, tree)
    _require_proposals(sop, events, tree)
    _require_chosen(events, tree)
    for made, holds in judged(roster, events, tree.read):
        if "statement" in made.fields:
            _require_signature(made, holds, tree)
        if made.name == SIGNED:
            _require_signed_document(made, look, tree)
    return CheckedRun(tree, sop, roster, events, state, recorded)


def _events(content: bytes) -> tuple[Event, ...]:
    events = tuple(journal.parse_all(content, JOURNAL))
    if not events:
        raise errors.VerificationError(JOURNAL, "holds no record")
    require_format(events[0], str(events[0].fields.get("run")))
    for event in events:
        require_shape(event, JOURNAL)
    if events[0].name != "run_started":
        raise errors.VerificationError(f"{JOURNAL}:1", f"{events[0].name} cannot be the first record")
    return events


def _require_start(started: Event, roster: Roster) -> None:
    if (started["office"], started["timezone"]) != (roster.office, roster.timezone):
        raise errors.VerificationError(f"{JOURNAL}:1", f"is of another office than {OFFICIALS}")
    operator = roster.official(started["operator"]["id"])
    if operator is None or operator.person() != started["operator"]:
        raise errors.VerificationError(f"{JOURNAL}:1", f"was started by nobody of {OFFICIALS}")


def _require_look(started: Event, look: OfficeLook, roster: Roster) -> None:
    if look.settings.signatures.recorded != started["signing"]:
        raise errors.VerificationError(f"{JOURNAL}:1", f"signs documents otherwise than {OFFICE} says")
    if look.settings.timezone not in {None, roster.timezone}:
        raise errors.VerificationError(OFFICE, f"is of another zone than {OFFICIALS}")


def _recorded(events: tuple[Event, ...], tree: Tree, content: bytes) -> dict[str, str]:
    started = events[0]
    recorded = {
        SOP: started["sop"]["sha256"],
        OFFICIALS: started["officials_sha256"],
        OFFICE: started["office_sha256"],
        TRENDS: started["trends_sha256"],
        SIGNERS: tree.sha256(SIGNERS),
        JOURNAL: sha256_hex(content),
    }
    for event in events:
        for path, digest in files_of(event):
            if path in recorded:
                raise errors.VerificationError(
                    f"{JOURNAL}:{event.seq}", f"names {display(path)}, which is in the record already"
                )
            recorded[path] = digest
    return recorded


def _sop(tree: Tree) -> Sop:
    try:
        return parse_sop(tree.read(SOP).decode(), SOP)
    except (errors.InputError, UnicodeDecodeError) as error:
        raise errors.VerificationError(SOP, f"is not a SOP: {display(str(error))}") from error


def _require_content(event: Event, run: str, sop_sha256: str, tree: Tree) -> None:
    """Require that evidence, plans and documents say of themselves what the journal says of them."""
    if event.name == "action_finished":
        for entry in event["evidence"]:
            path = entry["path"]
            host = path.rpartition("/")[2].removesuffix(".json")
            expected = {"host": host, "status": event["hosts"][host], "kind": event["kind"]}
            said = _require_says(
                path, tree, {**expected, **{k: event[k] for k in ("step", "attempt", "part")}}
            )
            _require_disturbance(event, host, path, said)
    elif event.name == "document_written":
        named = {key: event[key] for key in ("document", "version", "archive")}
        _require_says(event["files"][0]["path"], tree, named)
    elif event.name == "plan_made":
        plan = _require_says(event["path"], tree, {"run": run, "sop_sha256": sop_sha256})
        if _planned(plan, event["path"]) != set(event["hosts"]):
            raise errors.VerificationError(event["path"], "is not about the hosts that the journal names")


def _require_disturbance(event: Event, host: str, path: str, said: dict[str, Any]) -> None:
    """Require that a host is told to be disturbed exactly when its evidence says so."""
    try:
        disturbed = is_disturbed(event["hosts"][host], said["results"])
    except (KeyError, AttributeError) as error:
        raise errors.VerificationError(path, "is not evidence") from error
    if disturbed != (host in event["disturbed"]):
        raise errors.VerificationError(path, "differs from the journal in whether the host is disturbed")


def _require_form(event: Event, sop: Sop, tree: Tree) -> None:
    path = event["files"][0]["path"]
    wrong = filled.misfit(sop, event, _require_says(path, tree, {}))
    if wrong:
        raise errors.VerificationError(path, f"does not fit the form and the journal: {display(wrong)}")


def _require_proposals(sop: Sop, events: tuple[Event, ...], tree: Tree) -> None:
    """Require that every proposal says what its evidence and the signed form of that moment say."""
    for index, event in enumerate(events):
        if event.name != "repairs_proposed":
            continue
        action = sop.step(event["step"]).action
        if action is None or action.cures is None:
            raise errors.VerificationError(f"{JOURNAL}:{event.seq}", "is of a row that cures nothing")
        expected = cures.due(
            RunState(sop, events[:index]),
            events[:index],
            (event["step"], event["attempt"]),
            lambda named: _require_says(named["path"], tree, {}),
        )
        if _require_says(event["path"], tree, {}) != expected:
            raise errors.VerificationError(event["path"], "is not what was found there and is allowed")
        if (event["allowed"], event["hosts"]) != (
            expected["allowed_cures"],
            cures.hosts_to_cure(expected),
        ):
            raise errors.VerificationError(
                f"{JOURNAL}:{event.seq}", "names other cures or hosts than its file"
            )


def _require_chosen(events: tuple[Event, ...], tree: Tree) -> None:
    """Require that decisions choose only configuration files which the plan of that moment has."""
    plan: dict[str, Any] = {"hosts": {}}
    for event in events:
        if event.name == "plan_made":
            plan = _require_says(event["path"], tree, {})
        chosen = event.fields.get("conffiles") or {}
        if refused := conffiles.refusal(plan, chosen):
            raise errors.VerificationError(f"{JOURNAL}:{event.seq}", display(refused))


def _require_comparisons(events: tuple[Event, ...], tree: Tree) -> None:
    """Require that every reprobe was judged as its evidence and the plan of that moment say."""
    plan: dict[str, Any] = {}
    ours: set[str] = set()
    told: Event | None = None
    for event in events:
        if event.name == "plan_made":
            plan, ours = _require_says(event["path"], tree, {}), set()
        elif event.name == "action_started" and event["changes"]:
            ours |= set(event["hosts"])
        elif event.name == "action_finished":
            told = event
        elif event.name in {"plan_confirmed", "plan_drifted"} and told is not None:
            _require_comparison(
                event, plan, [_require_says(e["path"], tree, {}) for e in told["evidence"]], ours, tree
            )


def _require_comparison(
    event: Event, plan: dict[str, Any], found: list[dict[str, Any]], ours: set[str], tree: Tree
) -> None:
    alike, differing = drift.of_hosts(plan, found, ours)
    expected = list(differing) if event.name == "plan_drifted" else list(alike)
    if bool(differing) != (event.name == "plan_drifted") or event["hosts"] != expected:
        raise errors.VerificationError(
            f"{JOURNAL}:{event.seq}", f"{event.name}: the evidence of that part says otherwise"
        )
    if differing:
        _require_says(event["differences"]["path"], tree, {"hosts": differing})


def _planned(plan: dict[str, Any], path: str) -> set[str]:
    try:
        return set(hosts_to_change(plan))
    except (LookupError, TypeError, AttributeError) as error:
        raise errors.VerificationError(path, "is not a plan") from error


def _require_says(path: str, tree: Tree, expected: dict[str, Any]) -> dict[str, Any]:
    try:
        said = dict(json.loads(tree.read(path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.VerificationError(path, "is not a JSON object") from error
    for field, value in expected.items():
        if said.get(field) != value:
            raise errors.VerificationError(path, f"differs from the journal in {field}")
    return said


def _require_signature(made: Event, roster: Roster, tree: Tree) -> None:
    statement, signature = made["statement"]["path"], made["signature"]["path"]
    person = signer_of(made)
    if not signing.is_signed_by(tree.read(statement), tree.read(signature), person, roster.allowed_signers()):
        raise errors.VerificationError(signature, f"is not the signature of {display(person)} on {statement}")


def _require_signed_document(made: Event, look: OfficeLook, tree: Tree) -> None:
    """Require that a signed PDF is the document that was due with one sound signature more."""
    path, signatures = made["files"][0]["path"], look.settings.signatures
    # That it was due on this file is settled by replay; one file of the record has this digest.
    base = next(name for name, digest in tree.digests.items() if digest == made["base"])
    pades.require_installed(f"judging the signatures in {display(path)}")
    expected = pades.Expected(made["place"], signatures.name_of(made["person"]), made.instant.at)
    trust = pades.Trust(look.authorities.encode())
    try:
        found = pades.judge(tree.read(base), tree.read(path), expected, trust)
    except pades.UnsoundError as error:
        raise errors.VerificationError(path, display(str(error))) from error
    if found.certificate != made["certificate"]:
        raise errors.VerificationError(path, "is signed with another certificate than the journal says")


def _require_accounted(tree: Tree, accounted: set[str]) -> None:
    strangers = sorted(tree.files.keys() - accounted)
    if strangers:
        raise errors.VerificationError(strangers[0], "is named by nothing in the journal")


def _under_way(run: CheckedRun) -> set[str]:
    """Return the files that may stand half-made in the folder of a run that was cut off at its work.

    They are no part of the record, and no archive holds them: when the run goes on they are written anew, or
    something else comes of what was due and they are left as they are.
    """
    paths = {
        f"evidence/{step}-{attempt}-{part}/{host}.json"
        for step, attempt, part, hosts in _untold_actions(run.events)
        for host in hosts
    }
    # Who was cut off while he broke the lock or changed the roster may never have come back to it.
    broken = f"decisions/break-{len(run.state.breaks) + 1}.json"
    number = len(run.state.roster_changes) + 1
    changed, roster = f"decisions/roster-{number}.json", roster_name(number)
    paths |= {broken, f"{broken}.sig", changed, f"{changed}.sig", f"{roster}.json", f"{roster}.signers"}
    state = RunState(run.sop, ())
    for event in run.events:
        # After a stop a plan is not compared any more with what hosts said before it: they are asked anew.
        compares = event.name == "run_resumed" and isinstance(next_move(state), moves.ComparePlan)
        if compares or event.name in _OVERTAKES:
            paths |= _due_files(state)
        state.apply(event)
    paths |= _due_files(state)
    split = [path.rpartition("/") for path in paths]
    return paths | {f"{folder}/.{name}.partial" for folder, _, name in split}


def _due_files(state: RunState) -> set[str]:
    paths: set[str] = set()
    due = filled.due(state, next_move(state))
    if due is not None:
        paths |= filled.possible_paths(filled.folder_name(state, due["step"], due["attempt"]))
    match next_move(state):
        case moves.MakePlan(step, attempt):
            paths.add(f"plans/{step}-{attempt}.json")
        case moves.ProposeRepairs(step, attempt):
            paths.add(f"plans/{step}-{attempt}-repairs.json")
        case moves.ComparePlan(part):
            paths.add(f"plans/{state.step.no}-{state.attempt}-{part.name}.json")
        case moves.AwaitDecision(gate):
            place = gate.next_statement
            paths |= {place, f"{place}.sig"}
            paths |= {place.removesuffix(".json") + extension for extension in SCAN_EXTENSIONS}
        case moves.AwaitSignature(signature):
            paths.add(signature.path)
        case moves.WriteDocument(step, attempt, output):
            stem = f"documents/{step:02d}-{attempt}-{output.document}-{output.version}"
            paths |= {f"{stem}.{kind}" for kind in _DOCUMENT_KINDS}
            paths |= {f"{stem}.lampiran-{number}.pdf" for number in range(1, MOST_ANNEXES + 1)}
        case _:
            pass
    return paths


def _untold_actions(events: tuple[Event, ...]) -> set[tuple[int, int, str, tuple[str, ...]]]:
    begun = {
        (e["step"], e["attempt"], e["part"]): tuple(e["hosts"]) for e in events if e.name == "action_started"
    }
    told = {(e["step"], e["attempt"], e["part"]) for e in events if e.name == "action_finished"}
    return {(*key, hosts) for key, hosts in begun.items() if key not in told}
