"""A lab of its own for signatures: an office that signs its documents, and a host that takes checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority, authority
from labs import raised
from signing_field import LAB, SETTINGS, SIGNERS


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts, whose office signs with certificates, and take them down at the end."""
    with raised(tmp_path_factory.mktemp("lab"), LAB, 2) as inventory:
        issuer: Authority = authority()
        (inventory / "otoritas.pem").write_bytes(issuer.pem)
        for official, name in SIGNERS.items():
            issuer.issue(name, inventory / "keys" / f"{official}.p12")
        with (inventory / "office.yml").open("a", encoding="utf-8") as file:
            file.write(SETTINGS)
        yield inventory
