"""The tree: what stands where, one word per thing, and nothing that does not belong into a public one."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
COMMITTED = LISTED.stdout.split("\0")[:-1]
# What is committed, as it stands in the work tree now.
FILES = {name: ROOT / name for name in COMMITTED if (ROOT / name).is_file()}
CODE = {name: path for name, path in FILES.items() if path.suffix == ".py" and not name.startswith("tests/")}

# One word per thing: these are the words of other programs, or of none.
OTHER_WORDS = {"job", "jobs", "workflow", "workflows", "pipeline", "pipelines", "stage", "stages", "helper",
               "helpers", "manager", "managers", "utils", "util"}  # fmt: skip


EXPECTED = [
    ".ci/run", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "README.md", "ansible.cfg", "docs/adr",
    "docs/architecture.md", "docs/run-record.md", "docs/writing-a-sop.md", "inventory/lab", "lab",
    "playbooks", "pyproject.toml", "report_templates", "roles", "runner", "sops", "tests/contracts",
    "tests/lab", "tests/post_update", "tests/roles", "tests/scenarios", "tests/unit",
]  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_tree_has(name: str) -> None:
    assert [path for path in FILES if path == name or path.startswith(f"{name}/")] != []


def test_runs_archives_and_keys_are_not_committed() -> None:
    private = re.compile(r"^(runs|archive)/|/keys/|/secrets/|known_hosts|\.retry$|(^|/)\.work/")
    assert [name for name in COMMITTED if private.search(name)] == []


def texts() -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8", errors="replace") for name, path in FILES.items()}


def test_no_file_holds_a_private_key() -> None:
    assert [name for name, text in texts().items() if "PRIVATE KEY-----\n" in text] == []


def test_files_are_named_with_our_words() -> None:
    # "module_utils" is Ansible's own name for a folder.
    words = {name: re.split(r"[/_.\- ]", name.lower().replace("module_utils/", "")) for name in FILES}
    assert [name for name, found in words.items() if OTHER_WORDS & set(found)] == []


@pytest.mark.parametrize("name", CODE)
def test_names_in_code_are_our_words(name: str) -> None:
    found = set()
    for node in ast.walk(parsed(name)):
        match node:
            case ast.FunctionDef(name=word) | ast.ClassDef(name=word) | ast.Name(word) | ast.arg(word):
                found |= {piece.lower() for piece in re.findall(r"[A-Z]?[a-z]+", word)}
    assert found & OTHER_WORDS == set()


@pytest.mark.parametrize("name", CODE)
def test_every_module_says_what_it_is_for(name: str) -> None:
    # An Ansible module tells it in DOCUMENTATION, which is what ansible-doc reads.
    assigned = [
        target for node in parsed(name).body if isinstance(node, ast.Assign) for target in node.targets
    ]
    told = {target.id for target in assigned if isinstance(target, ast.Name)}
    assert ast.get_docstring(parsed(name)) or "DOCUMENTATION" in told


def test_runner_is_flat_but_for_its_interchangeable_parts() -> None:
    folders = {Path(name).parent.as_posix() for name in CODE if name.startswith("runner/")}
    assert folders == {
        "runner",
        "runner/executors",
        "runner/judges",
        "runner/signers",
        "runner/callback_plugins",
        "runner/connection_plugins",
    }


# Row 8's "tidak normal" is missing here: it is also how every SOP speaks of the conditions its times suppose.
SURAKARTA = ["sesuai", "diperintahkan", "ditetapkan", "Pengelola Sistem", "plan-updates",
             "apply-updates", "rollback-updates", "backup-hosts"]  # fmt: skip


def test_no_module_of_the_runner_knows_a_word_of_a_sop() -> None:
    """Order, outcomes and playbooks stand in the SOP alone."""
    known = {name: strings(name) for name in CODE if name.startswith("runner/")}
    assert [
        f"{name}: {word}" for name, found in known.items() for word in SURAKARTA if word in " ".join(found)
    ] == []


def parsed(name: str) -> ast.Module:
    return ast.parse(CODE[name].read_text(encoding="utf-8"))


def strings(name: str) -> set[str]:
    found = {n.value for n in ast.walk(parsed(name)) if isinstance(n, ast.Constant)}
    return {value for value in found if isinstance(value, str)}


def test_no_two_test_files_that_run_together_have_one_name() -> None:
    """Of folders that are no packages pytest imports a name once: the second file would not be collected."""
    folders = ("unit", "lab", "roles", "contracts")
    names = [path.name for folder in folders for path in (ROOT / "tests" / folder).glob("test_*.py")]
    assert [name for name in names if names.count(name) > 1] == []
