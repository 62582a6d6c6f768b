"""The RPM packages and the repositories of the lab's hosts of the RHEL family, as files for a disk layer.

Each package has one way to be pending. The repositories lie on the host itself: nothing has to be served,
and what breaks one is done to its files. Advisories are written as the distributions write theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

OLD_RELEASE = "1"
NEW_RELEASE = "2"
SOURCES = "usr/src/rawat-lab"
REPOSITORIES = "srv/rpm"
BASE, UPDATES, QUIET = "lab-base", "lab-updates", "lab-quiet"


@dataclass(frozen=True)
class RpmRecipe:
    """A package: what its update fixes and says of itself, and what it brings with it."""

    name: str
    summary: str
    advisory: str = ""
    severity: str = "None"
    cves: tuple[str, ...] = ()
    asks_for_reboot: bool = False
    is_service: bool = False
    breaks_after: bool = False
    configuration: str = ""
    requires_after: str = ""
    obsoletes_after: str = ""
    # Scripts of the new release, run before and after its files are laid down.
    pre_after: str = ""
    post_after: str = ""
    # Installed beside its old release, as kernels are.
    stays_beside: bool = False
    has_old: bool = True
    has_new: bool = True
    repository: str = UPDATES


RPM_RECIPES = (
    RpmRecipe(
        "lab-web",
        "service that stays good",
        advisory="security",
        severity="Important",
        cves=("CVE-2099-7001", "CVE-2099-7002"),
        is_service=True,
    ),
    RpmRecipe("lab-tool", "program whose update mends a fault", advisory="bugfix"),
    RpmRecipe("lab-plain", "program whose update has no advisory"),
    RpmRecipe("lab-quiet", "program of a repository without advisories", repository=QUIET),
    RpmRecipe("lab-unnamed", "program whose security update names no CVE", advisory="security"),
    RpmRecipe("lab-boot", "program whose update asks for a reboot", advisory="bugfix", asks_for_reboot=True),
    RpmRecipe("clamav-lab", "program of the antivirus", advisory="security", cves=("CVE-2099-7003",)),
    RpmRecipe("lab-keeps", "program whose update keeps its settings", configuration="%config(noreplace)"),
    RpmRecipe("lab-settles", "program whose update replaces its settings", configuration="%config"),
    RpmRecipe("lab-newdep", "program whose update needs a new package", requires_after="lab-dep"),
    RpmRecipe("lab-dep", "what the update of lab-newdep needs", has_old=False),
    RpmRecipe("lab-old", "program that another one replaces", has_new=False),
    RpmRecipe("lab-next", "program that replaces lab-old", has_old=False, obsoletes_after="lab-old"),
    RpmRecipe("lab-kernel", "package that is installed beside its old release", stays_beside=True),
    RpmRecipe("lab-script", "program whose update's script fails afterwards", post_after="exit 3"),
    RpmRecipe("lab-refuses", "program whose update's script refuses it", pre_after="exit 4"),
    RpmRecipe(
        "lab-crash",
        "service that does not start after its update",
        advisory="security",
        cves=("CVE-2099-7005",),
        is_service=True,
        breaks_after=True,
    ),
    RpmRecipe(
        "lab-locked",
        "program that somebody locked at its version",
        advisory="security",
        cves=("CVE-2099-7004",),
    ),
)

SPEC = """\
Name: {name}
Version: 1.0
Release: {release}
Summary: lab: {summary}
License: MIT
BuildArch: noarch
AutoReqProv: no
{relations}
%description
A package of the lab.

%install
mkdir -p %{{buildroot}}/usr/bin
printf '#!/bin/sh\\necho {name} {release}\\n{body}' > %{{buildroot}}/usr/bin/{program}
chmod 755 %{{buildroot}}/usr/bin/{program}
{install}
%files
/usr/bin/{program}
{files}
{scriptlets}"""

UNIT = """\
mkdir -p %{{buildroot}}/usr/lib/systemd/system
cat > %{{buildroot}}/usr/lib/systemd/system/{name}.service <<'END'
[Service]
ExecStart=/usr/bin/{name}
[Install]
WantedBy=multi-user.target
END
"""

SETTINGS = """\
mkdir -p %{{buildroot}}/etc
echo 'shipped with {release}' > %{{buildroot}}/etc/{name}.conf
"""

SCRIPTLETS = """\
%post
systemctl --quiet enable {name}.service
if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl restart {name}.service || :; fi
"""

# What rpm's own database cannot know of a disk that dpkg filled.
GROUND = """\
Name: lab-ground
Version: 9
Release: 1
Summary: lab: what the packages stand on
License: MIT
BuildArch: noarch
AutoReqProv: no
Provides: /bin/sh
Provides: system-release = 9
Provides: redhat-release = 9

%description
A package of the lab.

%files
"""

OS_RELEASE = """\
NAME="Rocky Linux"
VERSION="9.5 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.5"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.5 (Blue Onyx)"
"""

REPOSITORY = """\
[{name}]
name=Lab {name}
baseurl=file:///{folder}/{name}
enabled=1
gpgcheck=0
"""

SCRIPT = f"""\
rpm --initdb
for repository in {BASE} {UPDATES} {QUIET}; do
    for spec in /{SOURCES}/$repository/*.spec; do
        rpmbuild --quiet -bb --define '_topdir /tmp/rpmbuild' \\
            --define "_rpmdir /{REPOSITORIES}/$repository" $spec
    done
done
rpm --install /{REPOSITORIES}/{BASE}/noarch/lab-ground-*.rpm
rpm --install $(ls /{REPOSITORIES}/{BASE}/noarch/*.rpm | grep -v lab-ground)
for repository in {BASE} {UPDATES} {QUIET}; do createrepo_c --quiet /{REPOSITORIES}/$repository; done
modifyrepo_c --mdtype=updateinfo /{SOURCES}/updateinfo.xml /{REPOSITORIES}/{UPDATES}/repodata > /dev/null
echo 'lab-locked-0:1.0-{OLD_RELEASE}.*' > /etc/dnf/plugins/versionlock.list
# No tool may take the host for what its disk was made of.
rm -f /etc/debian_version
mv /usr/bin/apt-get /usr/bin/apt-get.lab
mv /usr/bin/dpkg /usr/bin/dpkg.lab
mv /usr/bin/dpkg-query /usr/bin/dpkg-query.lab
mv /var/lib/dpkg /var/lib/dpkg.lab
mkdir /usr/lib/python3/apt.lab
mv /usr/lib/python3/dist-packages/apt /usr/lib/python3/dist-packages/apt_* /usr/lib/python3/apt.lab
"""


def rpm_files() -> dict[str, str]:
    """Return the files of a disk layer: spec files, repositories, advisories, and what system it claims."""
    files = {
        "etc/os-release": OS_RELEASE,
        "etc/redhat-release": "Rocky Linux release 9.5 (Blue Onyx)\n",
        # Debian's rpm keeps its database in the home of whoever calls it.
        "etc/rpm/macros": "%_dbpath /var/lib/rpm\n",
        "etc/dnf/vars/releasever": "9\n",
        f"{SOURCES}/{BASE}/lab-ground.spec": GROUND,
        f"{SOURCES}/updateinfo.xml": updateinfo(),
    }
    for name in (BASE, UPDATES, QUIET):
        files[f"etc/yum.repos.d/{name}.repo"] = REPOSITORY.format(name=name, folder=REPOSITORIES)
    for recipe in RPM_RECIPES:
        if recipe.has_old:
            files[f"{SOURCES}/{BASE}/{recipe.name}.spec"] = spec(recipe, OLD_RELEASE)
        if recipe.has_new:
            files[f"{SOURCES}/{recipe.repository}/{recipe.name}.spec"] = spec(recipe, NEW_RELEASE)
    return files


def spec(recipe: RpmRecipe, release: str) -> str:
    """Return what rpmbuild makes a package from."""
    is_new = release == NEW_RELEASE
    relations = f"Requires: {recipe.requires_after}\n" if is_new and recipe.requires_after else ""
    relations += f"Obsoletes: {recipe.obsoletes_after}\n" if is_new and recipe.obsoletes_after else ""
    relations += "Provides: installonlypkg(kernel)\n" if recipe.stays_beside else ""
    name = recipe.name
    scripts = SCRIPTLETS.format(name=name) if recipe.is_service else ""
    scripts += f"%pre\n{recipe.pre_after}\n" if is_new and recipe.pre_after else ""
    scripts += f"%post\n{recipe.post_after}\n" if is_new and recipe.post_after else ""
    stays = "exit 1\\n" if is_new and recipe.breaks_after else "exec sleep infinity\\n"
    return SPEC.format(
        name=name,
        program=f"{name}-{release}" if recipe.stays_beside else name,
        summary=recipe.summary,
        release=release,
        relations=relations,
        body=stays if recipe.is_service else "",
        install=(UNIT.format(name=name) if recipe.is_service else "")
        + (SETTINGS.format(name=name, release=release) if recipe.configuration else ""),
        files=(f"/usr/lib/systemd/system/{name}.service\n" if recipe.is_service else "")
        + (f"{recipe.configuration} /etc/{name}.conf\n" if recipe.configuration else ""),
        scriptlets=scripts,
    )


def updateinfo() -> str:
    """Return the advisories of the lab's updates, in the form of a repository's updateinfo."""
    told = (recipe for recipe in RPM_RECIPES if recipe.advisory)
    return (
        "<updates>\n"
        + "".join(advisory(recipe, 7000 + at) for at, recipe in enumerate(told))
        + "</updates>\n"
    )


def advisory(recipe: RpmRecipe, number: int) -> str:
    """Return one advisory."""
    letter = {"security": "S", "bugfix": "B"}[recipe.advisory]
    references = "".join(
        f'<reference href="https://example.invalid/{cve}" id="{cve}" type="cve" title="{cve}"/>'
        for cve in recipe.cves
    )
    reboot = "<reboot_suggested>True</reboot_suggested>" if recipe.asks_for_reboot else ""
    file = f"{recipe.name}-1.0-{NEW_RELEASE}.noarch.rpm"
    return (
        f'<update from="lab@example.invalid" status="final" type="{recipe.advisory}" version="1">'
        f"<id>LAB{letter}A-2099:{number}</id><title>{recipe.name}</title><severity>{recipe.severity}</severity>"
        '<issued date="2026-01-01 00:00:00"/><updated date="2026-01-01 00:00:00"/>'
        f"<references>{references}</references><description>{recipe.summary}</description>"
        '<pkglist><collection short="lab"><name>lab</name>'
        f'<package name="{recipe.name}" version="1.0" release="{NEW_RELEASE}" epoch="0" arch="noarch"'
        f' src="{recipe.name}-1.0-{NEW_RELEASE}.src.rpm"><filename>{file}</filename>{reboot}</package>'
        "</collection></pkglist></update>\n"
    )
