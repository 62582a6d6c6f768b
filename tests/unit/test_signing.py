"""Signatures by OpenSSH: whose they are, over what, and that nothing else passes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import errors
from runner.officials import NAMESPACE
from runner.signing import is_signed_by, sign


def make_key(path: Path, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("kepala", "lain"):
        make_key(folder / name)
    make_key(folder / "terkunci", "rahasia contoh")
    return folder


@pytest.fixture
def statement(tmp_path: Path) -> Path:
    path = tmp_path / "statement.json"
    path.write_bytes(b'{"outcome":"disetujui"}\n')
    return path


def signers(keys: Path, **names: str) -> bytes:
    """Return the allowed signers: id=name of the key."""
    lines = [
        f'{signer} namespaces="{NAMESPACE}" {(keys / f"{key}.pub").read_text(encoding="ascii")}'
        for signer, key in names.items()
    ]
    return "".join(lines).encode()


def test_a_signature_names_its_signer(keys: Path, statement: Path) -> None:
    signature = sign(statement, keys / "kepala").read_bytes()
    assert is_signed_by(statement.read_bytes(), signature, "kepala", signers(keys, kepala="kepala"))


def test_a_signature_is_private(keys: Path, statement: Path) -> None:
    assert sign(statement, keys / "kepala").stat().st_mode & 0o777 == 0o600


def test_another_s_signature_does_not_pass(keys: Path, statement: Path) -> None:
    signature = sign(statement, keys / "lain").read_bytes()
    assert not is_signed_by(statement.read_bytes(), signature, "kepala", signers(keys, kepala="kepala"))


def test_a_signature_passes_for_its_own_signer_only(keys: Path, statement: Path) -> None:
    signature = sign(statement, keys / "lain").read_bytes()
    allowed = signers(keys, kepala="kepala", lain="lain")
    assert not is_signed_by(statement.read_bytes(), signature, "kepala", allowed)


@pytest.mark.parametrize("changed", [b'{"outcome":"dibatalkan"}\n', b'{"outcome":"disetujui"}', b""])
def test_a_changed_statement_does_not_pass(keys: Path, statement: Path, changed: bytes) -> None:
    signature = sign(statement, keys / "kepala").read_bytes()
    assert not is_signed_by(changed, signature, "kepala", signers(keys, kepala="kepala"))


@pytest.mark.parametrize("signature", [b"", b"not a signature", b"-----BEGIN SSH SIGNATURE-----\n"])
def test_what_is_no_signature_does_not_pass(keys: Path, statement: Path, signature: bytes) -> None:
    assert not is_signed_by(statement.read_bytes(), signature, "kepala", signers(keys, kepala="kepala"))


def test_nobody_passes_against_an_empty_list_of_signers(keys: Path, statement: Path) -> None:
    signature = sign(statement, keys / "kepala").read_bytes()
    assert not is_signed_by(statement.read_bytes(), signature, "kepala", b"")


def test_a_signature_made_for_something_else_does_not_pass(keys: Path, statement: Path) -> None:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(keys / "kepala"), "-n", "git", str(statement)]
    subprocess.run(command, check=True, capture_output=True)
    signature = statement.with_name("statement.json.sig").read_bytes()
    assert not is_signed_by(statement.read_bytes(), signature, "kepala", signers(keys, kepala="kepala"))


def test_an_older_signature_beside_the_statement_is_never_taken_for_the_new_one(
    keys: Path, statement: Path
) -> None:
    old = sign(statement, keys / "kepala").read_bytes()
    with pytest.raises(errors.DecisionRefusedError):
        sign(statement, keys / "nowhere")
    statement.write_bytes(b'{"outcome":"dibatalkan"}\n')
    assert sign(statement, keys / "kepala").read_bytes() != old


def test_a_key_that_is_not_there_is_told(keys: Path, statement: Path) -> None:
    with pytest.raises(errors.DecisionRefusedError, match=r"there is no key at .*/nowhere"):
        sign(statement, keys / "nowhere")


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o604])
def test_a_key_that_others_may_read_or_change_is_refused_with_its_mending(
    tmp_path: Path, statement: Path, mode: int
) -> None:
    key = make_key(tmp_path / "terbuka")
    key.chmod(mode)
    with pytest.raises(errors.DecisionRefusedError, match=rf"others may .* \(mode {mode:04o}\)") as told:
        sign(statement, key)
    assert told.value.hint.startswith(f"chmod 600 {key}; ")
    key.chmod(0o600)
    assert sign(statement, key).exists()


def test_without_a_terminal_a_locked_key_is_told_with_the_way_out(keys: Path, statement: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from runner import errors; from runner.signing import sign\n"
        "try: sign(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except errors.DecisionRefusedError as error: print(error, '|', error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(statement), str(keys / "terkunci")],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        start_new_session=True,  # no terminal that ssh-keygen could open
    )
    assert "incorrect passphrase" in done.stdout
    assert "without a terminal nobody is asked for one: ssh-add the key before" in done.stdout


def test_a_file_that_is_no_key_is_told(keys: Path, statement: Path) -> None:
    junk = keys / "junk"
    junk.write_text("not a key\n", encoding="ascii")
    junk.chmod(0o600)
    with pytest.raises(errors.DecisionRefusedError, match=r"no signature was made with .*/junk"):
        sign(statement, junk)


def answer_with(answer: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ssh-keygen ask a program for the passphrase, as it asks a desktop's dialogue."""
    program = folder / "askpass"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{answer}'\n", encoding="ascii")
    program.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")


def test_a_key_with_a_passphrase_signs_when_it_is_given(
    keys: Path, statement: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with("rahasia contoh", tmp_path, monkeypatch)
    signature = sign(statement, keys / "terkunci").read_bytes()
    assert is_signed_by(statement.read_bytes(), signature, "kepala", signers(keys, kepala="terkunci"))


def test_a_wrong_passphrase_makes_no_signature(
    keys: Path, statement: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with("salah", tmp_path, monkeypatch)
    with pytest.raises(errors.DecisionRefusedError, match="incorrect passphrase"):
        sign(statement, keys / "terkunci")


def test_ssh_keygen_gets_no_secret_of_our_environment(
    keys: Path, statement: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "rahasia contoh")
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\necho\n", encoding="ascii")
    program.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with pytest.raises(errors.DecisionRefusedError):
        sign(statement, keys / "terkunci")
    assert "A_SECRET" not in (tmp_path / "environment").read_text(encoding="utf-8")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start an ssh-agent that alone holds a key; give the path of the public key."""
    key = make_key(tmp_path / "dipegang-agen")
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                if socket.exists():
                    break
                time.sleep(0.05)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", str(key)], check=True, stdin=subprocess.DEVNULL)
            key.unlink()
            yield key.with_suffix(".pub")
        finally:
            process.terminate()


def test_a_key_that_only_the_agent_holds_signs_by_its_public_half(agent: Path, statement: Path) -> None:
    signature = sign(statement, agent).read_bytes()
    allowed = f'kepala namespaces="{NAMESPACE}" {agent.read_text(encoding="ascii")}'.encode()
    assert is_signed_by(statement.read_bytes(), signature, "kepala", allowed)
