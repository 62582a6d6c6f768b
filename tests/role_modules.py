"""The roles' own Python as Ansible loads it: modules, and what these share as `ansible.module_utils`."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import ansible.module_utils

ROLES = Path(__file__).parents[1] / "roles"
# The modules as well: one of them does the work of others.
ansible.module_utils.__path__ += [
    str(folder) for part in ("module_utils", "library") for folder in ROLES.glob(f"*/{part}")
]


def module(role: str, name: str = "") -> ModuleType:
    """Return a role's module, by default the one that is called as the role is."""
    return loaded(ROLES / role / "library" / f"{name or role}.py")


def loaded(path: Path) -> ModuleType:
    """Return what a file holds, loaded anew."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def shared(name: str) -> ModuleType:
    """Return a module that modules import as ``ansible.module_utils.NAME``."""
    return importlib.import_module(f"ansible.module_utils.{name}")
