"""Rawat does not act from where anybody may have put something. Row 46."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import errors
from runner.workspace import Workspace


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("playbooks/library", "report_templates", "roles/a/tasks"):
        (tmp_path / "checkout" / name).mkdir(parents=True)
    (tmp_path / "checkout/roles/a/tasks/main.yml").write_text("[]", encoding="ascii")
    (tmp_path / "checkout/ansible.cfg").write_text("", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "checkout"


def test_a_checkout_of_ones_own_is_taken(checkout: Path) -> None:
    Workspace(checkout).require_safe_place()


@pytest.mark.parametrize(
    "name", [".", "ansible.cfg", "playbooks/library", "report_templates", "roles/a/tasks/main.yml"]
)
def test_a_checkout_that_anybody_may_write_is_refused(checkout: Path, name: str) -> None:
    (checkout / name).chmod(0o777)

    with pytest.raises(errors.InputError, match="can be written by everybody"):
        Workspace(checkout).require_safe_place()


def test_a_current_folder_that_anybody_may_write_is_refused(checkout: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)

    with pytest.raises(errors.InputError, match="can be written by everybody"):
        Workspace(checkout).require_safe_place()
