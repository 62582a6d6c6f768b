"""Fetching packages in a given version from the sources of a host of the RHEL family."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils import redhat_transaction, rpm_states
from ansible.module_utils.redhat_transaction import MetadataError

# How long a source may take to answer, and how often it is asked again: as of apt on Debian.
PATIENCE = {"http_timeout": 30, "http_retries": 2}
LOCK_SECONDS = 60


class FetchError(Exception):
    """The package cannot be had, or is not signed as its source demands."""


class Sources:
    """The sources of the host, as dnf has them stored."""

    def __init__(self, base: redhat_transaction.dnf.Base) -> None:
        self._base = base

    def _found(
        self, installed: rpm_states.Installed, version: str
    ) -> list[redhat_transaction.hawkey.Package]:
        offers = self._base.sack.query().available()
        return list(offers.filter(name=installed.name, arch=installed.arch, evr=version))[:1]

    def has(self, installed: rpm_states.Installed, version: str) -> bool:
        """Whether a source offers a package in a version."""
        return bool(self._found(installed, version))

    def fetch(self, installed: rpm_states.Installed, version: str, file: Path) -> None:
        """Put the package file there.

        Raises:
            FetchError: when it cannot be had or trusted.
        """
        found = self._found(installed, version)
        try:
            redhat_transaction.when_unlocked(lambda: self._base.download_packages(found), LOCK_SECONDS)
            redhat_transaction.require_signatures(self._base, found)
            shutil.copyfile(found[0].localPkg(), file)
        except (
            redhat_transaction.dnf.exceptions.Error,
            redhat_transaction.RefusedError,
            MetadataError,
        ) as error:
            raise FetchError(" ".join(str(error).split())) from error


@contextmanager
def opened(proxy: str) -> Iterator[Sources]:
    """Give the sources as they are stored, or fetched anew where nothing is stored any more.

    Without a ``proxy`` what dnf's own settings say holds.

    Raises:
        MetadataError: when a source cannot be had.
    """
    with redhat_transaction.opened_for(
        {"needs_sources": True, "lock_timeout": LOCK_SECONDS, "proxy": proxy, **PATIENCE}
    ) as base:
        yield Sources(base)
