"""restic gets its secrets by descriptors: none stands in a file, in an argument or in the environment."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from role_modules import shared

restic = shared("back_up_host_restic")
PASSWORD = "rahasia-contoh"


@pytest.fixture(name="params")
def _params(tmp_path: Path) -> dict[str, Any]:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    return {
        "repository": str(tmp_path / "repository"), "password": PASSWORD, "rest_user": "",
        "rest_password": "", "s3_credentials": "", "sftp_key": "", "sftp_known_hosts": "",
        "private": str(private), "timeout": 60,
    }  # fmt: skip


def test_restic_itself_reads_them_there_however_often(params: dict[str, Any]) -> None:
    with restic.opened(params) as repository:
        repository.require("it cannot be made", "init")
        assert repository.require("it cannot be listed", "snapshots", "--json").strip() == "[]"
        assert repository.require("it is damaged", "check")


def test_nothing_of_a_secret_is_in_a_file_an_argument_or_a_value(
    params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    popen = subprocess.Popen

    def start(argv: list[str], **given: Any) -> Any:  # noqa: ANN401 - what Popen takes
        started.append((argv, given["env"]))
        return popen(argv, **given)

    monkeypatch.setattr(restic.subprocess, "Popen", start)
    with restic.opened(params) as repository:
        repository.require("it cannot be made", "init")
        assert list((tmp_path / "private").iterdir()) == []
        kept = list(repository.descriptors)
    ((argv, environment),) = started
    assert kept
    assert PASSWORD not in " ".join([*argv, *environment.values()])
    assert not (tmp_path / "private").exists()
    for descriptor in kept:
        assert not Path(f"/proc/self/fd/{descriptor}").exists()


def test_the_keys_of_s3_and_the_login_of_rest_go_the_same_way(params: dict[str, Any], tmp_path: Path) -> None:
    login = {"rest_user": "contoh", "rest_password": "sandi"}
    made = restic.Restic({**params, "repository": "rest:http://127.0.0.1:1/x", **login})
    keys = restic.Restic({**params, "repository": "s3:http://127.0.0.1:1/x", "s3_credentials": "[default]"})
    address = Path(made.environment["RESTIC_REPOSITORY_FILE"]).read_text(encoding="utf-8")
    assert address == "rest:http://contoh:sandi@127.0.0.1:1/x"
    assert Path(keys.environment["AWS_SHARED_CREDENTIALS_FILE"]).read_text(encoding="utf-8") == "[default]\n"
    assert list((tmp_path / "private").iterdir()) == []
    made.close()
    keys.close()
