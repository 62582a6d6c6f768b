"""What every role promises about its inputs, read from its files; no host is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from played import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())


def read(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return loaded


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_say_the_same(role: str) -> None:
    """An input without a default is required; every other has the same default in both files."""
    folder = ROOT / "roles" / role
    options = read(folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    specified = {name: option["default"] for name, option in options.items() if "default" in option}

    assert read(folder / "defaults" / "main.yml") == specified
    assert all(option.get("required") for name, option in options.items() if name not in specified)


@pytest.mark.parametrize("role", ROLES)
def test_inputs_carry_the_name_of_their_role_and_stand_in_its_readme(role: str) -> None:
    folder = ROOT / "roles" / role
    options = read(folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    readme = (folder / "README.md").read_text(encoding="utf-8")

    assert [name for name in options if not name.startswith(f"{role}_")] == []
    assert [name for name in options if f"`{name}`" not in readme] == []
