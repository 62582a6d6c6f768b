"""What Ansible, ssh and the tests get of the operator's environment, and what Rawat settles for them.

Rules:
    - Of the environment only what is listed here goes on: no ``ANSIBLE_*``, ``SSH_ASKPASS``, ``PYTHONPATH``.
    - Ansible reads the checkout's ``ansible.cfg``, our plugins and no others: none of the current folder,
      none of those of ``~/.ansible`` (its home is a folder of ours).
    - A host shows the key that is known of it, or it is unreachable; nobody is asked, nothing is learnt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# ANSIBLE_VAULT_PASSWORD_FILE is the name of a file, never a secret: inventories may be encrypted.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TZ", "SSH_AUTH_SOCK", "USER", "LOGNAME")
KEPT_OF_ANSIBLE = ("ANSIBLE_VAULT_PASSWORD_FILE",)

# OpenSSH takes the first word it hears on an option: these stand before what the inventory says, and what
# is given on the command line stands before ~/.ssh/config.
STRICT_SSH = (
    "StrictHostKeyChecking=yes",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
    "KnownHostsCommand=none",
    "UpdateHostKeys=no",
    # A host that was broken into must not use the operator's agent, display or tunnels.
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
)
_TASK_SECONDS = 900
"""A task without a ``timeout`` of its own is ended after this."""


def kept_environment() -> dict[str, str]:
    """Return what goes on of the operator's environment, with this program's own folder first in the path."""
    kept = {name: os.environ[name] for name in (*_KEPT, *KEPT_OF_ANSIBLE) if name in os.environ}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def ansible_environment(root: Path, home: Path, sockets: Path) -> dict[str, str]:
    """Return the environment of an Ansible program that works for a checkout.

    Args:
        root: the checkout.
        home: a private folder that stands for ``~/.ansible``; Ansible's scratch goes there.
        sockets: a private folder with a short name, for shared ssh connections.
    """
    ours = Path(__file__).parent
    return {
        **kept_environment(),
        "PYTHONPATH": str(root),
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False",
        "ANSIBLE_CONNECTION_PLUGINS": str(ours / "connection_plugins"),
        "ANSIBLE_TRANSPORT": "ssh",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_TASK_TIMEOUT": str(_TASK_SECONDS),
        "ANSIBLE_VERBOSITY": "0",
        "RAWAT_SSH_OPTIONS": " ".join(ssh_options(sockets)),
    }


def ssh_options(sockets: Path) -> tuple[str, ...]:
    """Return the options of every ssh, with connections shared in a folder of our own.

    A connection that somebody else opened and left open was not checked by us: it is not shared.
    """
    return (*STRICT_SSH, f"ControlPath={sockets}/%C")
