"""Run a program as on a kernel that was booted with `ipv6.disable=1`.

A seccomp filter refuses `socket(AF_INET6, ...)`. Any user can set one:
    python -m tests.support.without_ipv6 PROGRAM ARGUMENTS
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys


# https://docs.kernel.org/userspace-api/seccomp_filter.html
SET_SECCOMP, SET_NO_NEW_PRIVS, FILTER = 22, 38, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
SOCKET = {"x86_64": 41, "aarch64": 198}

# The instruction, how many to skip if true and if false, and its operand: the offset of the system
# call's number or first argument, or the value to compare with.
PROGRAM = (
    (LOAD, 0, 0, 0),
    (JUMP_IF_EQUAL, 0, 3, SOCKET[platform.machine()]),
    (LOAD, 0, 0, 16),
    (JUMP_IF_EQUAL, 0, 1, socket.AF_INET6),
    (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
    (RETURN, 0, 0, ALLOW),
)


def refuse_ipv6() -> None:
    """Refuse IPv6 sockets to this process and its children."""
    code = b"".join(struct.pack("HBBI", *step) for step in PROGRAM)
    steps = ctypes.create_string_buffer(code)
    program = struct.pack("H6xP", len(PROGRAM), ctypes.addressof(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((SET_NO_NEW_PRIVS, 1, 0, 0, 0), (SET_SECCOMP, FILTER, program, 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_ipv6()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # it runs the program under test
