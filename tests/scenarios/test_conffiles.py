"""Who decides chooses for each changed configuration file; what he signed is what the action is given."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from runner import conffiles, errors, record, verify
from runner.executors.base import HostResult
from runner.gates import Choice
from runner.prompt import Prompt
from runner.workspace import RunFolder
from scenarios.forgery import find, forge
from scenarios.office import Office, events_of
from scenarios.test_quorum import together

FILES = [
    {"package": "rsync", "path": "/etc/a", "state": "changed", "choice": "keep", "sha256": "1" * 64},
    {"package": "rsync", "path": "/etc/b", "state": "changed", "choice": "new", "sha256": "2" * 64},
    # As a host of the RHEL family tells: rpm keeps it, and nothing can be chosen.
    {"package": "rsync", "path": "/etc/c", "state": "changed"},
]
__all__ = ["together"]
NEW_A: conffiles.Chosen = {"web1": {"/etc/a": "new"}}


@pytest.fixture
def waiting(contoh: Office) -> RunFolder:
    """Return a run at the gate of a plan that has changed configuration files of one host."""
    found = {"updates": [], "reboot": {"expected": False, "because": []}}
    updates = [{"package": "rsync", "from": "1", "to": "2", "kind": "system", "cves": []}]
    with_files = HostResult("web1", "ok", {"plan": {**found, "updates": updates, "conffiles": FILES}})
    for row, part in ((1, "1"), (3, "1-reprobe-1")):
        contoh.playbooks.answer(row, part, {"web1": with_files})
    folder = contoh.start()
    contoh.go_on(folder, {})
    return folder


def decide(office: Office, folder: RunFolder, chosen: conffiles.Chosen, outcome: str = "disetujui") -> None:
    choice = Choice("kabid", outcome, "Alasan contoh", chosen)
    office.engine(folder).decide(choice, office.key("kabid"))


def test_what_was_chosen_is_signed_and_given_to_the_change_and_to_no_other_run(
    contoh: Office, waiting: RunFolder
) -> None:
    decide(contoh, waiting, NEW_A)
    contoh.go_on(waiting, {})

    said = json.loads(waiting.statement(2, 1).read_bytes())
    assert said["conffiles"] == NEW_A
    assert events_of(waiting, "decision_made")[0]["conffiles"] == NEW_A
    (change,) = [one for one in contoh.playbooks.requests if (one.step, one.part) == (3, "1")]
    assert change.conffiles == NEW_A
    verify.check_run(waiting)


def test_without_a_word_everything_is_as_planned(contoh: Office, waiting: RunFolder) -> None:
    decide(contoh, waiting, {})
    contoh.go_on(waiting, {})

    assert {str(one.conffiles) for one in contoh.playbooks.requests} == {"{}"}


@pytest.mark.parametrize(
    ("chosen", "outcome", "said"),
    [
        ({"web1": {"/etc/x": "new"}}, "disetujui", "no changed configuration file /etc/x of web1"),
        ({"web1": {"/etc/c": "new"}}, "disetujui", "no changed configuration file /etc/c of web1"),
        ({"db1": {"/etc/a": "new"}}, "disetujui", "no changed configuration file /etc/a of db1"),
        (NEW_A, "periksa ulang", "no configuration file is chosen"),
        (NEW_A, "dibatalkan", "no configuration file is chosen"),
    ],
)
def test_what_the_plan_does_not_have_and_what_is_not_installed_is_not_chosen(
    contoh: Office, waiting: RunFolder, chosen: conffiles.Chosen, outcome: str, said: str
) -> None:
    with pytest.raises(errors.DecisionRefusedError, match=said):
        decide(contoh, waiting, chosen, outcome)
    assert events_of(waiting, "decision_made") == []


def test_a_choice_changed_in_the_journal_alone_is_found(contoh: Office, waiting: RunFolder) -> None:
    decide(contoh, waiting, NEW_A)
    kept = {"web1": {"/etc/a": "keep"}}
    forge(waiting.path, lambda events: find(events, "decision_made").update(conffiles=kept))

    with pytest.raises(errors.RawatError):
        verify.check_run(waiting)
    with pytest.raises(errors.RawatError):
        contoh.go_on(waiting, {})
    assert [one for one in contoh.playbooks.requests if one.step == 3 and one.part == "1"] == []


def test_two_who_decide_together_choose_the_same(together: Office) -> None:
    found = {"updates": [], "reboot": {"expected": False, "because": []}, "conffiles": FILES}
    together.playbooks.answer(1, "1", {"web1": HostResult("web1", "ok", {"plan": found})})
    folder = together.start()
    together.go_on(folder, {})
    decide(together, folder, NEW_A)

    other = Choice("analis", "disetujui", "", {})
    with pytest.raises(errors.DecisionRefusedError, match="both must choose the same"):
        together.engine(folder).decide(other, together.key("analis"))
    same = Choice("analis", "disetujui", "", NEW_A)
    together.engine(folder).decide(same, together.key("analis"))

    assert [one.name for one in record.load(folder).state.signed] == ["vote_made", "decision_made"]


def test_the_gate_asks_for_each_file_and_takes_the_proposal_without_an_answer(
    contoh: Office, waiting: RunFolder
) -> None:
    answers = iter(["disetujui", "", "nonsense", "new", "", ""])
    screen = io.StringIO()
    now = record.load(waiting)
    ask = Prompt(Console(file=screen, width=200), contoh.keys, lambda _question: next(answers))
    assert now.state.gate

    decided = ask(now.state.gate, now)

    assert decided
    assert decided[0].conffiles == NEW_A
    assert "please answer keep or new" in screen.getvalue()
    assert "/etc/c was changed" not in screen.getvalue()


@pytest.mark.parametrize("word", ["web1:/etc/a", "/etc/a=new", "web1:/etc/a=other", "web1:etc/a=new"])
def test_a_word_of_another_form_is_refused(word: str) -> None:
    assert conffiles.parse(["web1:/etc/a=new"]) == NEW_A
    with pytest.raises(errors.InputError):
        conffiles.parse([word])
    with pytest.raises(errors.InputError, match="twice"):
        conffiles.parse(["web1:/etc/a=new", "web1:/etc/a=keep"])
