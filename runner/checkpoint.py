"""A checkpoint: how far the register, and a run at a gate, had come. Pure rules.

A chain shows every change but one: that its newest records were cut off, or that all of it was put back to
an earlier day. So at every gate a checkpoint leaves the machine. An archive or a run that is not at least as
long as an earlier checkpoint says, with that very record at that place, is not the one it was.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner import errors
from runner.canonical import canonical_json, parse_canonical
from runner.events import Digest

MAX_BYTES = 10_000


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Chain(_Model):
    """How many records a chain had, and the digest of the last one (64 zeros when there was none)."""

    records: Annotated[int, Field(ge=0)]
    head: Digest


EMPTY = Chain(records=0, head="0" * 64)
"""How far a chain without a record has come."""


class RunChain(Chain):
    """How far the journal of a run had come."""

    run: Annotated[str, Field(min_length=1)]
    records: Annotated[int, Field(ge=1)]


class Checkpoint(_Model):
    """What a checkpoint says; ``run`` is None in the archive's own head."""

    format: Literal[1] = 1
    kind: Literal["rawat-checkpoint"] = "rawat-checkpoint"
    archive: Chain
    """How far the register had come."""
    signers: Digest
    """SHA-256 of the archive's file of public keys."""
    run: RunChain | None
    at: str
    """Time of the newest of the records it tells of; "" when there is none."""

    @property
    def data(self) -> bytes:
        """Return the checkpoint as it is written and signed."""
        return canonical_json(self.model_dump())


def parse(data: bytes, name: str) -> Checkpoint:
    """Return the checkpoint that ``data`` holds.

    Raises:
        VerificationError: when it is none.
    """
    try:
        return Checkpoint.model_validate(parse_canonical(data[:MAX_BYTES]))
    except (ValidationError, ValueError) as error:
        raise errors.VerificationError(name, "is not a checkpoint") from error


def require_prefix(chain: Chain, digests: list[str], name: str, whose: str) -> None:
    """Require that a chain has come at least as far, by the very same records.

    Args:
        chain: what the checkpoint knows.
        digests: the digest of each record that is there now.
        name: of the file that holds them.
        whose: the checkpoint, for the message.

    Raises:
        VerificationError: naming the record that is not there, or another one.
    """
    if len(digests) < chain.records:
        raise errors.VerificationError(
            name,
            f"has {len(digests)} records, and {whose} knows {chain.records}: "
            "records were cut off, or all of it was put back to an earlier day",
        )
    if chain.records and digests[chain.records - 1] != chain.head:
        raise errors.VerificationError(
            f"{name}:{chain.records}",
            f"is another record than the one that {whose} knows: history was rewritten",
        )
