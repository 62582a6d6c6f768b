"""`rawat lab`: disposable hosts and services for the demo and the tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab import driver, mail, services
from lab.errors import ImpossibleHereError, LabError
from lab.inventory import COMMITTED, DEMO_WORDS
from lab.layout import DEFAULT_HOSTS, DEFAULT_NAME, HERMETIC, PROFILES

app = typer.Typer(
    name="lab",
    help="Disposable hosts and services of this machine, for the demo and the tests.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
screen = Console(highlight=False)
complaints = Console(stderr=True, highlight=False)

Name = Annotated[str, typer.Option("--name", help="Which lab; several can be up at once.")]
Host = Annotated[str, typer.Argument(help="A host of the lab, for example web1.")]


@contextmanager
def told_errors() -> Iterator[None]:
    """Turn a LabError into its message and exit code."""
    try:
        yield
    except LabError as error:
        complaints.print(f"lab: {error.problem}", style="bold red", markup=False, soft_wrap=True)
        if error.next_step:
            complaints.print(f"next: {error.next_step}", markup=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error


@app.command()
def up(
    hosts: Annotated[int, typer.Option(help="How many hosts.")] = DEFAULT_HOSTS,
    name: Name = DEFAULT_NAME,
    inventory: Annotated[
        Path | None, typer.Option(help="Folder for the inventory of any but the default lab.")
    ] = None,
    profile: Annotated[
        str, typer.Option(help=f"What the hosts have pending: {' or '.join(PROFILES)}.")
    ] = HERMETIC,
) -> None:
    """Bring a lab up (as root; the first time builds the disks, some two minutes)."""
    begun = time.monotonic()
    with told_errors():
        if profile not in PROFILES:
            raise ImpossibleHereError(f"no profile {profile!r}", f"choose {' or '.join(PROFILES)}")
        wish = driver.Wish(name, hosts, profile, inventory)
        with screen.status("lab up") as progress:

            def say(text: str) -> None:
                progress.update(text)
                screen.print(f"  {text}", markup=False)

            lab = driver.up(wish, say)
        show(driver.look(lab))
        screen.print(
            f"up in {time.monotonic() - begun:.1f} s; officials' keys in"
            f" {lab.inventory / 'keys'}, passphrase {DEMO_WORDS}",
            soft_wrap=True,
        )
        shown = "inventory/lab" if lab.inventory == COMMITTED else lab.inventory
        screen.print(f"next: ansible -i {shown} all -m ping", soft_wrap=True)


@app.command()
def down(name: Name = DEFAULT_NAME) -> None:
    """Take a lab down; nothing of it stays but its inventory."""
    with told_errors(), screen.status("lab down"):
        was_up = driver.down(name)
    screen.print(f"lab {name} is down" if was_up else f"no lab {name} was up")


@app.command()
def status(
    name: Name = DEFAULT_NAME,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the hosts and services of a lab."""
    with told_errors():
        found = driver.look(driver.load(name))
    if as_json:
        typer.echo(json.dumps(status_record(found), indent=2))
    else:
        show(found)


@app.command()
def reset(host: Host, name: Name = DEFAULT_NAME) -> None:
    """Put a host back to how it came up."""
    with_time(f"{host} is fresh", lambda: driver.reset(name, host))


@app.command()
def stop(host: Host, name: Name = DEFAULT_NAME) -> None:
    """Shut a host down; its disk stays."""
    with_time(f"{host} is stopped", lambda: driver.stop(name, host))


@app.command()
def start(host: Host, name: Name = DEFAULT_NAME) -> None:
    """Boot a stopped host."""
    with_time(f"{host} is running", lambda: driver.start(name, host))


@app.command()
def publish(
    package: Annotated[str, typer.Argument(help="A package of the lab, for example lab-good.")],
    version: Annotated[str, typer.Argument(help="For example 1.0-1+deb12u2.")],
    suite: Annotated[str, typer.Option(help="Another suite than the package's own.")] = "",
    name: Name = DEFAULT_NAME,
) -> None:
    """Add a version of a package to the lab's channel, as if Debian had published it."""
    with_time(
        f"{package} {version} is published",
        lambda: driver.publish(name, package, version, suite),
    )


@app.command("mail")
def show_mail(name: Name = DEFAULT_NAME) -> None:
    """Show the mails that Rawat sent to the lab's officials, the oldest first."""
    with told_errors():
        mails = mail.received(driver.load(name))
    for letter in mails:
        for field in ("To", "Date", "Subject"):
            screen.print(f"{field}: {letter[field]}", style="bold", markup=False, soft_wrap=True)
        screen.print(f"\n{letter.get_content()}", markup=False, soft_wrap=True)
    screen.print(f"{len(mails)} mails")


def with_time(message: str, act: Callable[[], object]) -> None:
    """Do something and say how long it took."""
    begun = time.monotonic()
    with told_errors():
        act()
    screen.print(f"{message} ({time.monotonic() - begun:.1f} s)", markup=False)


def show(found: driver.LabStatus) -> None:
    """Show a lab's status to a person."""
    table = Table("host", "address", "groups", "state", box=None, header_style="bold")
    for host in found.hosts:
        colour = "green" if host.state == "running" else "red"
        table.add_row(host.name, host.address, " ".join(host.groups), f"[{colour}]{host.state}[/{colour}]")
    for service, (address, _) in services.places(found.lab).items():
        state = "[green]listening[/green]" if found.services[service] else "[red]down[/red]"
        table.add_row(service, address, "controller", state)
    screen.print(table)


def status_record(found: driver.LabStatus) -> dict[str, object]:
    """Return a lab's status for programs."""
    lab = found.lab
    return {
        "name": lab.name,
        "number": lab.number,
        "profile": lab.profile,
        "controller": lab.controller,
        "inventory": str(lab.inventory),
        "complete": found.is_complete,
        "services": found.services,
        "hosts": [
            {
                "name": host.name,
                "address": host.address,
                "groups": list(host.groups),
                "state": host.state,
            }
            for host in found.hosts
        ],
    }
