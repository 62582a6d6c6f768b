"""Which kernel a host has to run after an update (tests/post_update/kernels.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module", name="kernels")
def _kernels(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kernels", root / "tests" / "post_update" / "kernels.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def update(package: str, before: str, after: str) -> dict[str, str]:
    return {"package": package, "from": before, "to": after}


@pytest.mark.parametrize(
    ("updates", "releases"),
    [
        ([update("linux-image-6.1.0-29-amd64", "", "6.1.123-1")], ["6.1.0-29-amd64"]),
        ([update("linux-image-6.1.0-28-amd64", "6.1.119-1", "6.1.120-1")], []),
        ([update("linux-image-amd64", "6.1.119-1", "6.1.123-1")], []),
        ([update("linux-headers-6.1.0-29-amd64", "", "6.1.123-1")], []),
        ([update("kernel-core", "4.18.0-553.el8_10", "4.18.0-553.5.1.el8_10")], ["4.18.0-553.5.1.el8_10"]),
        ([update("kernel-headers", "4.18.0-553.el8_10", "4.18.0-553.5.1.el8_10")], []),
        ([update("openssl", "1", "2")], []),
    ],
)
def test_a_kernel_is_told_by_the_packages_that_bring_one(
    kernels: ModuleType, updates: list[dict[str, str]], releases: list[str]
) -> None:
    assert kernels.planned_releases(updates) == releases


@pytest.mark.parametrize(
    ("running", "planned", "runs"),
    [
        ("6.1.0-29-amd64", "6.1.0-29-amd64", True),
        ("6.1.0-28-amd64", "6.1.0-29-amd64", False),
        ("4.18.0-553.5.1.el8_10.x86_64", "4.18.0-553.5.1.el8_10", True),
        ("4.18.0-553.el8_10.x86_64", "4.18.0-553.5.1.el8_10", False),
        ("4.18.0-553.5.1.el8_10.x86_64", "4.18.0-553.5", False),
    ],
)
def test_the_running_kernel_is_the_planned_one_or_it_is_not(
    kernels: ModuleType, running: str, planned: str, *, runs: bool
) -> None:
    assert kernels.of_its_flavour(running, [planned]) == [planned]
    assert kernels.is_one_of(running, [planned]) == runs


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("6.1.0-28-amd64", "6.12.48+deb13-amd64", True),
        ("6.1.0-28-amd64", "6.1.0-28-cloud-amd64", False),
        ("5.15.0-100-generic", "5.15.0-102-lowlatency", False),
        ("4.18.0-553.el8_10.x86_64", "4.18.0-553.5.1.el8_10", True),
    ],
)
def test_kernels_for_other_machines_are_told_apart(
    kernels: ModuleType, first: str, second: str, *, same: bool
) -> None:
    assert (kernels.flavour(first) == kernels.flavour(second)) == same
