"""Goes on under the Python that dnf belongs to: its interface is there for the system's own one only."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import redhat_transaction
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import (
    has_respawned,
    probe_interpreters_for_module,
    respawn_module,
)


def require_dnf(module: AnsibleModule, evidence: dict[str, Any]) -> None:
    """Start the module again under dnf's Python where it is not that one; ends it when there is none."""
    if redhat_transaction.dnf is not None:
        return
    if not has_respawned():
        interpreter = probe_interpreters_for_module(
            ["/usr/bin/python3", "/usr/libexec/platform-python"], "dnf"
        )
        if interpreter:
            respawn_module(interpreter)
    module.fail_json(
        msg="dnf's Python interface (python3-dnf) is missing on this host: it is asked for, never installed "
        "by us, and nothing was changed. Install it by hand, then plan again. A host with dnf5 alone is not "
        "supported yet.",
        evidence=evidence,
    )
