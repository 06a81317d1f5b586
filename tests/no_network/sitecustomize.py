"""Refuses every network address but this machine's own, so that a test which needs the network fails.

Python imports a module of this name when it starts; `conftest.py` in the root puts this folder on PYTHONPATH.
COURSE_TEST_NETWORK=1 switches it off. It catches mistakes, not malice: programs that are not Python, and name
look-ups, pass.
"""

import errno
import ipaddress
import os
import socket


def is_loopback(address):
    host = str(address[0]).partition("%")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host's name
        return False


def guard(method):
    original = getattr(socket.socket, method)
    if hasattr(original, "unguarded"):
        return

    def guarded(self, *args):
        address = args[-1] if args else None
        internet = self.family in (socket.AF_INET, socket.AF_INET6)
        if internet and isinstance(address, tuple) and not is_loopback(address):
            raise OSError(
                errno.ENETUNREACH,
                f"the tests run with the network off: {method} to {address} refused; "
                "COURSE_TEST_NETWORK=1 switches the guard off",
            )
        return original(self, *args)

    guarded.unguarded = original
    setattr(socket.socket, method, guarded)


if os.environ.get("COURSE_TEST_NETWORK") != "1":
    for name in ("connect", "connect_ex", "sendto"):
        guard(name)
