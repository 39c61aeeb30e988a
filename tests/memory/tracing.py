"""A child process under ptrace: stopped at every system call, to be killed there or to have its writes recorded.

Linux only (ptrace(2), PTRACE_GET_SYSCALL_INFO from 5.3 on). Killing works on any processor; recording knows the
numbers of the calls on x86-64 and on 64-bit ARM.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_EXITKILL_AND_SYSGOOD = 0x100000 | 1
_ENTRY = 1
_INFO_BYTES = 88  # struct ptrace_syscall_info

NUMBERS = {
    "x86_64": {
        1: "write", 18: "pwrite64", 74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate", 82: "rename",
        83: "mkdir", 86: "link", 87: "unlink", 257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat",
        265: "linkat", 285: "fallocate", 316: "renameat2", 84: "rmdir", 20: "writev", 296: "pwritev",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 82: "fsync", 83: "fdatasync", 45: "truncate", 46: "ftruncate", 34: "mkdirat",
        37: "linkat", 35: "unlinkat", 56: "openat", 38: "renameat", 47: "fallocate", 276: "renameat2", 66: "writev",
        70: "pwritev",
    },
}.get(platform.machine(), {})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of the child, as it enters it."""

    pid: int
    name: str  # "" where the number is not known
    arguments: tuple[int, ...]

    def path(self, index: int) -> Path:
        """The path that an argument points to."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.arguments[index])
            found = b""
            while b"\0" not in found:  # a page at a time: the next one may not be there
                address = self.arguments[index] + len(found)
                found += memory.read(4096 - address % 4096)
        return Path(os.fsdecode(found.split(b"\0")[0]))

    def data(self, index: int, num_bytes: int) -> bytes:
        """The bytes that an argument points to."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.arguments[index])
            return memory.read(num_bytes)

    def file(self) -> str:
        """The path behind the descriptor that is the first argument."""
        return os.readlink(f"/proc/{self.pid}/fd/{self.arguments[0]}")

    def position(self) -> int:
        """Where the descriptor that is the first argument stands."""
        for line in Path(f"/proc/{self.pid}/fdinfo/{self.arguments[0]}").read_text().splitlines():
            if line.startswith("pos:"):
                return int(line.split()[1])
        raise AssertionError(f"no position of {self.file()}")


def why_not() -> str | None:
    """Why a child cannot be traced here, None if it can."""
    if not sys.platform.startswith("linux"):
        return "ptrace is Linux's"
    calls: list[Call] = []
    try:
        run(lambda: None, calls.append)
    except OSError as error:
        return f"ptrace is not permitted here: {error}"
    return None if calls else "system calls cannot be followed here"


def run(work: Callable[[], None], on_call: Callable[[Call], object]) -> int:
    """Fork, do the work there, and end; `on_call` hears of every call before it is made.

    The child is killed where `on_call` returns True. Returns its exit code, -9 when it was killed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(request: int, pid: int, address: int | None = None, data: object = None) -> int:
        done = int(libc.ptrace(request, pid, address, data))
        if done < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return done

    pid = os.fork()
    if pid == 0:
        _be_traced(libc, work)
    try:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            raise PermissionError("the child could not be traced")
        ptrace(_SETOPTIONS, pid, None, _EXITKILL_AND_SYSGOOD)
        info = ctypes.create_string_buffer(_INFO_BYTES)
        passed_on = 0
        while True:
            ptrace(_SYSCALL, pid, None, passed_on)
            _, status = os.waitpid(pid, 0)
            if not os.WIFSTOPPED(status):
                pid = 0
                return os.waitstatus_to_exitcode(status)
            passed_on = 0 if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80 else os.WSTOPSIG(status)
            if passed_on:
                continue
            ptrace(_GET_SYSCALL_INFO, pid, _INFO_BYTES, info)
            kind, number, *arguments = struct.unpack_from("=B23xQ6Q", info.raw)
            if kind == _ENTRY and on_call(Call(pid, NUMBERS.get(number, ""), tuple(arguments))):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                pid = 0
                return -signal.SIGKILL
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _be_traced(libc: ctypes.CDLL, work: Callable[[], None]) -> None:
    code = 1
    try:
        if libc.ptrace(_TRACEME, 0, None, None) == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            work()
            code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)
