"""Where this controller gets Debian from: read from its own apt configuration, never written down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lab.command import run
from lab.errors import ImpossibleHereError
from lab.recipe import RELEASE

FIELDS = ("REPO_URI", "RELEASE", "COMPONENT", "SIGNED_BY")
DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Mirror:
    """One suite of an archive: its address and the keyring that signs it."""

    address: str
    suite: str
    keyring: str

    def line(self, kind: str = "deb") -> str:
        """Return the one-line source for apt."""
        return f"{kind} [signed-by={self.keyring}] {self.address} {self.suite} main"


@cache
def find_mirror(suite: str = RELEASE) -> Mirror:
    """Return the controller's source for a Debian suite.

    Raises ImpossibleHereError when apt on this machine knows none.
    """
    layout = "|".join(f"$({name})" for name in FIELDS)
    for line in run(["apt-get", "indextargets", "--format", layout]).splitlines():
        address, release, component, keyring = line.split("|")
        if (release, component) == (suite, "main"):
            is_file = keyring.startswith("/")
            return Mirror(address, suite, keyring if is_file else DEFAULT_KEYRING)
    raise ImpossibleHereError(
        f"apt on this machine has no source for Debian {suite} main",
        "add one under /etc/apt/sources.list.d and run `apt-get update`",
    )


@cache
def fetch_settings() -> str:
    """Return how the controller's apt fetches (proxies, date checks), as apt configuration."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
    lines = run(["apt-config", "dump"]).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(wanted))


def date_checks() -> str:
    """Return the part of the settings that says how old an archive's index may be."""
    lines = fetch_settings().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("Acquire::Check-"))
