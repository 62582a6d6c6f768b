"""What every way of signing a document as PDF has to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Task:
    """A document to be signed, and what the signature says of itself."""

    base: bytes
    """The PDF as it is before; what comes back begins with it."""
    place: str
    """The id of the room that the layout keeps for the signature."""
    name: str
    reason: str
    location: str
    stamp: bytes
    """What is drawn into that room: a PDF of one page, as large as the room."""
    code: str
    """What a QR code beside it says, where the service draws the stamp itself."""


class Signer(Protocol):
    """Adds one official's signature to a document; it has been given what proves who he is."""

    def sign(self, task: Task) -> bytes:
        """Return the document with the signature added.

        Raises:
            DecisionRefusedError: no signature was made, and why; nothing has changed.
        """
