"""Under which account of the machine the work is done: told by the kernel, not by the environment."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from runner import own_machine

ROOT_LOGIN = 0


@pytest.fixture(name="login")
def _login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    told = tmp_path / "loginuid"
    monkeypatch.setattr(own_machine, "LOGIN", told)
    return told


def test_who_logged_in_is_told_beside_the_account(login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid not in {os.geteuid(), ROOT_LOGIN})
    login.write_text(str(other.pw_uid))
    monkeypatch.setenv("SUDO_USER", "kabid")
    assert own_machine.account() == f"{pwd.getpwuid(os.geteuid()).pw_name} ({other.pw_name})"


@pytest.mark.parametrize("told", [str(2**32 - 1), "", "x", str(os.geteuid())])
def test_a_login_that_is_not_known_or_the_same_is_left_out(login: Path, told: str) -> None:
    login.write_text(told)
    assert own_machine.account() == pwd.getpwuid(os.geteuid()).pw_name


def test_a_kernel_that_keeps_none_and_an_account_without_a_name(
    login: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not login.exists()
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    assert own_machine.account() == "3999999"
