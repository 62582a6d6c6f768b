"""What an office says of its archive: ``archive.yml`` at the top of the checkout. Pure rules.

Nothing has a default that would decide for the office: without the file checkpoints leave for nowhere, and
nobody may decide what becomes of an archive.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runner import source
from runner.models import judged

_HOST = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._@:-]{0,200}$")
_FOLDER = re.compile(r"^[A-Za-z0-9/_.][A-Za-z0-9/_. -]{0,300}$")


def _host(value: str) -> str:
    if _HOST.match(value) is None:
        raise ValueError("expected a host as ssh takes it, such as rawat@arsip.contoh.example")
    return value


def _folder(value: str) -> str:
    if _FOLDER.match(value) is None or ".." in value.split("/"):
        raise ValueError("expected a folder such as /srv/checkpoints, of plain letters")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Place(_Model):
    """Where checkpoints go: a folder of another disk or machine, or a folder of a host that sftp reaches."""

    directory: Annotated[str, AfterValidator(_folder)] | None = None
    host: Annotated[str, AfterValidator(_host)] | None = None
    folder: Annotated[str, AfterValidator(_folder)] = "."

    @model_validator(mode="after")
    def _is_one(self) -> Place:
        if (self.directory is None) == (self.host is None):
            raise ValueError("expected either directory or host")
        if self.directory is not None and not self.directory.startswith("/"):
            raise ValueError("directory: expected a whole path that begins with /")
        return self

    @property
    def name(self) -> str:
        """Return the place as a person calls it."""
        return self.directory or f"{self.host}:{self.folder}"


class Retention(_Model):
    """Who decides what becomes of archives whose time is over, and who signs as a witness."""

    officials: Annotated[str, Field(min_length=1)]
    """The roster's file, from the top of the checkout."""
    decides: Annotated[str, Field(min_length=1)]
    witness: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _are_two(self) -> Retention:
        if self.decides == self.witness:
            raise ValueError("decides and witness are two positions")
        return self


class ArchiveSettings(_Model):
    """``archive.yml``."""

    checkpoints: list[Place] = []
    retention: Retention | None = None


def parse_archive_settings(text: str, name: str) -> ArchiveSettings:
    """Parse and judge an ``archive.yml``.

    Raises:
        SourceError: naming every problem with its line.
    """
    read = source.read(text, name)
    return judged(ArchiveSettings, read if read.data is not None else source.read("{}", name))
