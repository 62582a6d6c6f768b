"""The lab's signed package channel, as a Debian archive is built: pool, indexes, signed Release.

Suites: `lab` has the old versions (so that a pinned downgrade works), `lab-updates` and
`lab-security` the new ones, with the origin and labels that Debian itself uses, so that roles tell
security updates apart by the same rule as on real hosts. `evil` is signed by a key no host trusts.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.command import run
from lab.errors import ImpossibleHereError
from lab.layout import CHANNEL_PORT, Lab
from lab.packages import NEW, OLD, RECIPES, build_package, changelog, recipe_of


@dataclass(frozen=True)
class Suite:
    """A suite of the channel and what its Release file says."""

    name: str
    label: str
    key: str = "channel"


SUITES = {
    suite.name: suite
    for suite in (
        Suite("lab", "Debian"),
        Suite("lab-updates", "Debian"),
        Suite("lab-security", "Debian-Security"),
        Suite("evil", "Debian-Security", key="evil"),
    )
}


def create(lab: Lab) -> None:
    """Make the keys, build every package and sign the suites."""
    for key in ("channel", "evil"):
        make_key(lab, key)
    for recipe in RECIPES.values():
        if not recipe.only_new:
            build_package(recipe, OLD, pool(lab, "lab"))
        build_package(recipe, NEW, pool(lab, recipe.suite))
        write_changelog(lab, recipe.name, NEW)
    build_package(RECIPES["lab-good"], "9.9-1", pool(lab, "evil"))
    for suite in SUITES.values():
        sign_suite(lab, suite)


def publish(lab: Lab, package: str, version: str, suite: str = "") -> Path:
    """Add a version of a package to the running channel, and return the package file.

    It behaves as the package's update does. Raises ImpossibleHereError for an unknown package,
    suite or an unfit version.
    """
    recipe = recipe_of(package)
    target = suite or recipe.suite
    if target not in SUITES:
        raise ImpossibleHereError(f"the channel has no suite {target}", ", ".join(SUITES))
    if not version.replace("+", "").replace("-", "").replace("~", "").replace(".", "").isalnum():
        raise ImpossibleHereError(f"{version!r} is no version", "for example 1.0-1+deb12u2")
    file = build_package(recipe, version, pool(lab, target))
    write_changelog(lab, package, version)
    sign_suite(lab, SUITES[target])
    return file


def withdraw(lab: Lab, package: str, version: str, suite: str = "lab") -> None:
    """Take a version of a package out of the running channel, as Debian's does with what is superseded."""
    (pool(lab, suite) / f"{recipe_of(package).name}_{version}_all.deb").unlink()
    sign_suite(lab, SUITES[suite])


def pool(lab: Lab, suite: str) -> Path:
    """Return the folder of a suite's packages."""
    return lab.channel / "www" / "pool" / suite


def keyring(lab: Lab) -> Path:
    """Return the public key, in the form that apt's Signed-By takes."""
    return lab.channel / "keys" / "channel.gpg"


def make_key(lab: Lab, name: str) -> None:
    """Make a signing key with a keyring of its own."""
    home = lab.channel / "keys" / name
    home.mkdir(parents=True, mode=0o700)
    home.parent.chmod(0o700)
    gpg = gpg_command(home)
    identity = f"Rawat Lab {name} <{name}@example.invalid>"
    run([*gpg, "--passphrase", "", "--quick-generate-key", identity, "ed25519", "sign", "never"])
    run([*gpg, "--output", str(home.parent / f"{name}.gpg"), "--export"])
    end_agent(home)


def gpg_command(home: Path) -> list[str]:
    """Return the start of a gpg command that uses only the keyring in `home`."""
    return ["gpg", "--batch", "--quiet", "--homedir", str(home)]


def end_agent(home: Path) -> None:
    """End the agent that gpg leaves behind, which would outlive the lab."""
    run(["gpgconf", "--homedir", home, "--kill", "all"])


def sign_suite(lab: Lab, suite: Suite) -> None:
    """Write a suite's indexes and signed Release beside the old ones, then put them in place."""
    www = lab.channel / "www"
    architecture = run(["dpkg", "--print-architecture"]).strip()
    fresh, current = www / f"dists/.{suite.name}.new", www / "dists" / suite.name
    shutil.rmtree(fresh, ignore_errors=True)
    index = fresh / f"main/binary-{architecture}"
    index.mkdir(parents=True)
    text = run(["apt-ftparchive", "packages", f"pool/{suite.name}"], cwd=www)
    (index / "Packages").write_text(text, encoding="utf-8")
    release = run(["apt-ftparchive", *release_options(suite, architecture), "release", "."], cwd=fresh)
    # apt-ftparchive has no option for this field; without it apt asks Debian's own server.
    release = f"Changelogs: {lab.url(CHANNEL_PORT)}/changelogs/@CHANGEPATH@\n{release}"
    (fresh / "Release").write_text(release, encoding="utf-8")
    home = lab.channel / "keys" / suite.key
    gpg = gpg_command(home)
    run([*gpg, "--clearsign", "--output", str(fresh / "InRelease"), str(fresh / "Release")])
    run([*gpg, "--detach-sign", "--armor", "--output", f"{fresh}/Release.gpg", f"{fresh}/Release"])
    end_agent(home)
    shutil.rmtree(current, ignore_errors=True)
    fresh.rename(current)


def release_options(suite: Suite, architecture: str) -> list[str]:
    """Return the options that put a suite's description into its Release file."""
    fields = {
        "Origin": "Debian",
        "Label": suite.label,
        "Suite": suite.name,
        "Codename": suite.name,
        "Architectures": architecture,
        "Components": "main",
    }
    words = (("-o", f"APT::FTPArchive::Release::{key}={value}") for key, value in fields.items())
    return [word for pair in words for word in pair]


def write_changelog(lab: Lab, package: str, version: str) -> None:
    """Put a changelog where `apt-get changelog` looks for it."""
    folder = lab.channel / "www/changelogs/main" / package[0] / package
    folder.mkdir(parents=True, exist_ok=True)
    text = changelog(recipe_of(package), version)
    (folder / f"{package}_{version}").write_text(text, encoding="utf-8")


def sources(lab: Lab) -> str:
    """Return the hosts' apt source for the channel."""
    return (
        "Types: deb\n"
        f"URIs: {lab.url(CHANNEL_PORT)}/\n"
        f"Suites: {' '.join(lab.channel_suites)}\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/rawat-lab.gpg\n"
    )
