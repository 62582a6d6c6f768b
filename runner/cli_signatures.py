"""The command of electronic signatures on documents: sign."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from runner import document_signing, errors, record, typed
from runner.assembly import engine_of
from runner.cli_calendar import tell_awaited
from runner.clock import SystemClock
from runner.consent import Shown, at_terminal
from runner.console import RunArgument, console
from runner.document_signing import DocumentSigning, Hand
from runner.journal import Journal
from runner.moves import DueSignature
from runner.record import Record
from runner.screens import Screen
from runner.signature_prompt import SignaturePrompt, from_descriptor
from runner.stops import print_unsigned
from runner.workspace import RunFolder, Workspace, find_workspace


def sign(
    run: RunArgument = None,
    *,
    official: Annotated[str, typer.Option(callback=typed.name, help="Id of the official who signs")] = "",
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="His certificate with its key, as PKCS#12 (.p12)")
    ] = None,
    passphrase_fd: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Read the passphrase (for BSrE: NIK, then passphrase) from it, by lines"
        ),
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", callback=typed.name, help="Code of the document that you have looked at"
        ),
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Go on without this signature; needs --reason")
    ] = False,
    reason: Annotated[str, typer.Option(callback=typed.words, help="Why it is left out")] = "",
) -> None:
    """Sign the document that awaits an official's electronic signature; without --official it is only shown.

    Where the office signs with certificates or through BSrE (office.yml), a document is signed as PDF after
    the decision on it. The passphrase is typed and kept nowhere. Who signs next is told; when nobody does,
    'rawat resume' goes on.
    """
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    now = record.load(folder)
    due = document_signing.due_signature(now)
    code = document_signing.code(now, due)
    shown = Shown(lambda: print_unsigned(folder, due, code), code, "--document")
    if not official:
        shown.show()
        return
    clock = SystemClock()
    signing = DocumentSigning(now, Journal(folder.journal, clock), clock)
    if leave_out:
        made = signing.leave_out(official, reason)
        told = f"run {folder.name}: the signature is left out, on the word of {made['told_by']['name']}"
        console.print(Text(told), soft_wrap=True)
        go_on(workspace, folder, official)
        return
    if reason:
        raise errors.InputError("--reason goes with --leave-out")
    shown.require_seen(document, f"Sign it as {due.person['name']} ({due.person['id']})?")
    if passphrase_fd is None and not at_terminal():
        raise errors.InputError("without a terminal the passphrase is read from --passphrase-fd N")
    ask = getpass.getpass if passphrase_fd is None else from_descriptor(passphrase_fd)
    hand = SignaturePrompt(console, workspace, folder).hand(due, now, certificate, ask)
    made = signing.sign(Hand(official, hand.signer, hand.stamp), code)
    console.print(Text(f"signed: {folder.path / made['files'][0]['path']}"), soft_wrap=True)
    go_on(workspace, folder, official)


def go_on(workspace: Workspace, folder: RunFolder, official: str) -> None:
    """Go on after a decision or a signature as far as documents need it, and say what comes next.

    What ``official`` signs himself is asked for at once where there is a terminal; another is told by mail.
    """
    screen = Screen(console, record.load(folder).sop)
    prompt = SignaturePrompt(console, workspace, folder)

    def own(due: DueSignature, now: Record) -> Hand | None:
        return prompt(due, now) if due.person["id"] == official else None

    try:
        with screen.closing():
            stop = engine_of(workspace, folder, screen).sign_documents(own if at_terminal() else None)
    except errors.InputError as busy:
        # It stands what was decided or signed; whoever works on the run goes on from there.
        console.print(Text(f"{busy}; it goes on from here", style="yellow"), soft_wrap=True)
        return
    if stop is None:
        console.print(Text(f"go on with: rawat resume {folder.name}"), soft_wrap=True)
        return
    now = record.load(folder)
    print_unsigned(folder, stop.due, document_signing.code(now, stop.due))
    tell_awaited(workspace, folder, now)
