"""What an inventory may call the address and the user of a host: words, never options or commands.

A word that begins with a dash is an option to ssh (``-oProxyCommand=...`` runs a program on the controller).
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,99}\$?")


def address_problem(address: object, user: object) -> str:
    """Return what is wrong with the way to a host, or an empty string; None says nothing and is good."""
    if address is not None and not _ADDRESS.fullmatch(str(address)):
        return f"its address {str(address)[:100]!a} is no host name or IP address"
    if user is not None and not _USER.fullmatch(str(user)):
        return f"its user {str(user)[:100]!a} is no user name"
    return ""
