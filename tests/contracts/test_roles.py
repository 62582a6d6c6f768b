"""Roles and playbooks: the promises a role makes stand beside it, and playbooks only put roles in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
TASK_FILES = sorted((ROOT / "roles").glob("*/tasks/*.yml"))
BUILTIN = "ansible.builtin."
IMPORT = f"{BUILTIN}import_role"
KEYWORDS = {
    "name", "when", "vars", "register", "loop", "loop_control", "block", "rescue", "always", "until",
    "retries", "delay", "changed_when", "failed_when", "no_log", "check_mode", "notify", "delegate_to",
    "become", "run_once", "environment", "tags", "ignore_unreachable", "args", "any_errors_fatal",
    "throttle", "timeout", "diff", "listen",
}  # fmt: skip

every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
every_playbook = pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.stem)


def load(path: Path) -> Any:  # noqa: ANN401 - any YAML
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options(role: Path) -> dict[str, dict[str, Any]]:
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    found: dict[str, dict[str, Any]] = specs["main"]["options"]
    return found


def roles_of(playbook: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return (role, the vars given to it) of a playbook."""
    entries = [entry for play in load(playbook) for entry in play.get("roles", [])]
    imported = [task for play in load(playbook) for task in play.get("tasks", [])]
    entries += [{"role": task[IMPORT]["name"], "vars": task.get("vars", {})} for task in imported]
    return [(e, {}) if isinstance(e, str) else (e["role"], e.get("vars", {})) for e in entries]


def defaults(role: Path) -> dict[str, Any]:
    return load(role / "defaults" / "main.yml") or {}


def tasks_of(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for item in items:
        found.append(item)
        for part in ("block", "rescue", "always"):
            found += tasks_of(item.get(part, []))
    return found


def test_there_are_roles_and_playbooks() -> None:
    assert (len(ROLES) >= 7, len(PLAYBOOKS) >= 4) == (True, True)


@every_role
@pytest.mark.parametrize("file", ["README.md", "tasks/main.yml", "meta/main.yml", "meta/argument_specs.yml",
                                  "defaults/main.yml"])  # fmt: skip
def test_every_role_has(role: Path, file: str) -> None:
    assert (role / file).is_file()


@every_role
def test_defaults_are_those_of_the_argument_specs(role: Path) -> None:
    told = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert defaults(role) == told


@every_role
def test_an_input_is_required_or_has_a_default_and_never_both(role: Path) -> None:
    wrong = [name for name, o in options(role).items() if bool(o.get("required")) == ("default" in o)]
    assert wrong == []


@every_role
def test_every_input_says_its_type_and_what_it_is_for(role: Path) -> None:
    bare = [name for name, option in options(role).items() if not {"type", "description"} <= set(option)]
    assert bare == []


@every_role
def test_every_input_carries_the_role_s_name(role: Path) -> None:
    assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []


@every_role
def test_the_readme_names_every_input(role: Path) -> None:
    readme = (role / "README.md").read_text(encoding="utf-8")
    assert [name for name in options(role) if name not in readme] == []


@pytest.mark.parametrize("file", TASK_FILES, ids=lambda file: str(file.relative_to(ROOT / "roles")))
def test_tasks_use_builtin_modules_and_the_roles_own(file: Path) -> None:
    folders = ("library", "action_plugins")
    own = {path.stem for folder in folders for path in (ROOT / "roles").glob(f"*/{folder}/*.py")}
    used = {key for task in tasks_of(load(file)) for key in task if key not in KEYWORDS}
    assert sorted(name for name in used if not name.startswith(BUILTIN) and name not in own) == []


@every_playbook
def test_playbooks_hold_roles_and_no_tasks(playbook: Path) -> None:
    told = [sorted({"pre_tasks", "post_tasks", "handlers"} & set(play)) for play in load(playbook)]
    assert told == [[] for _ in told]
    # A role whose action checks the role's inputs itself is imported, which is said as a task.
    tasks = [set(task) for play in load(playbook) for task in play.get("tasks", [])]
    assert all({"name", IMPORT} <= task <= {"name", IMPORT, "vars"} for task in tasks)
    assert all(play.get("roles") or play.get("tasks") for play in load(playbook))


@every_playbook
def test_playbooks_name_roles_that_exist(playbook: Path) -> None:
    assert [role for role, _ in roles_of(playbook) if not (ROOT / "roles" / role).is_dir()] == []


@every_playbook
def test_playbooks_give_roles_only_inputs_they_know(playbook: Path) -> None:
    given = [(role, name) for role, inputs in roles_of(playbook) for name in inputs]
    assert [f"{role}: {name}" for role, name in given if name not in options(ROOT / "roles" / role)] == []


@every_playbook
def test_playbooks_are_named_verb_noun(playbook: Path) -> None:
    assert playbook.stem.split("-")[0] in {
        "plan",
        "backup",
        "apply",
        "rollback",
        "check",
        "release",
        "reboot",
        "scan",
        "propose",
        "prune",
        "repair",
    }


@every_role
def test_every_role_is_used_by_a_playbook(role: Path) -> None:
    assert role.name in {name for playbook in PLAYBOOKS for name, _ in roles_of(playbook)}


def test_package_lists_are_fetched_by_the_plan_alone() -> None:
    """Each fetch is a look of every host at every source; keeping, applying and going back need none."""
    fetches = re.compile(r'"(?:/usr/bin/)?apt-get",\s*"update"|update_cache:')
    files = [path for ending in ("py", "yml") for path in (ROOT / "roles").glob(f"*/**/*.{ending}")]

    found = [path.parts[-3:] for path in files if fetches.search(path.read_text(encoding="utf-8"))]

    assert found == [("plan_updates", "library", "probe_updates.py")]
