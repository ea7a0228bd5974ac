"""What a child that runs a student's code may do: time, memory, files, network.

Files and network are limited by Landlock (Linux 5.13 and later; no root needed) and by a network
namespace of its own where the system allows one. Where neither is to be had, `confine` says so.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import sys
import sysconfig
from pathlib import Path

NOBODY = 65534
MEBIBYTE = 1 << 20
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 8, 38
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 1 << 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on x86-64 and arm64
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
READ = EXECUTE | READ_FILE | READ_DIR
FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE
# By version of the interface: what can be forbidden of files, of the network, of other processes.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
BIND_AND_CONNECT = 3
SOCKETS_AND_SIGNALS = 3
SYSTEM_FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")


class Ruleset(ctypes.Structure):
    """``struct landlock_ruleset_attr``."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class PathBeneath(ctypes.Structure):
    """``struct landlock_path_beneath_attr``."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def limit_resources(
    seconds: int, memory: int, in_use: tuple[int, int], processes: int | None
) -> None:
    """Limit CPU seconds, bytes of memory beyond those in use, file sizes and processes.

    Args:
        in_use: bytes of address space and of data, from `memory_in_use`.
    """
    space, data = in_use
    if space:  # libraries reserve far more address space than they fill
        resource.setrlimit(resource.RLIMIT_AS, (space + 8 * memory,) * 2)
        resource.setrlimit(resource.RLIMIT_DATA, (data + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if processes is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))


def memory_in_use() -> tuple[int, int]:
    """Return the bytes of address space and of data, or zeros where the system does not say."""
    try:
        pages = [int(text) for text in Path("/proc/self/statm").read_text().split()]
    except (OSError, ValueError):
        return 0, 0
    return pages[0] * resource.getpagesize(), pages[5] * resource.getpagesize()


def leave_network() -> bool:
    """Move this process into a network namespace without any device; False where not allowed."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET if os.getuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET
    return libc.unshare(flags) == 0


def confine(scratch: Path, hidden: Path) -> bool:
    """Allow files of Python and of ``scratch`` only, and nothing beneath ``hidden``.

    Returns:
        False where the system has no Landlock: nothing is limited then.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    every = (1 << FILE_RIGHTS.get(version, 16)) - 1
    rules = Ruleset(
        every, BIND_AND_CONNECT if version >= 4 else 0, SOCKETS_AND_SIGNALS if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    handle = libc.syscall(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if handle < 0:
        return False
    for path in readable_paths(hidden):
        _allow(libc, handle, path, READ)
    for device in ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"):
        _allow(libc, handle, Path(device), READ | WRITE_FILE)
    for path in SYSTEM_FACTS:
        _allow(libc, handle, Path(path), READ)
    _allow(libc, handle, scratch, every)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = libc.syscall(RESTRICT_SELF, handle, ctypes.c_uint32(0)) == 0
    os.close(handle)
    return done


def _allow(libc: ctypes.CDLL, handle: int, path: Path, access: int) -> None:
    try:
        opened = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        rule = PathBeneath(access if is_folder else access & FILE_ONLY, opened)
        libc.syscall(ADD_RULE, handle, 1, ctypes.byref(rule), 0)
    finally:
        os.close(opened)


def readable_paths(hidden: Path) -> list[Path]:
    """Return what Python needs: its own folders, system libraries, this package; not ``hidden``."""
    package = hidden.parent
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    named += ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache"]
    roots = {Path(name).resolve() for name in named if name} | {package.resolve()}
    return [path for root in sorted(roots) for path in except_beneath(root, hidden.resolve())]


def except_beneath(root: Path, hidden: Path) -> list[Path]:
    """Return paths that cover everything beneath ``root`` but not ``hidden``."""
    if not hidden.is_relative_to(root):
        return [root]
    if root == hidden:
        return []
    inside = [part for child in sorted(root.iterdir()) for part in except_beneath(child, hidden)]
    return inside


def become_nobody(scratch: Path) -> bool:
    """Give up root, if this is root, but for the right to read what `confine` will allow."""
    if os.getuid() != 0:
        return False
    os.chown(scratch, NOBODY, NOBODY)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    keep_rights(CAP_DAC_READ_SEARCH)  # Python itself may be installed in the folder of root
    return True


def keep_rights(rights: int) -> None:
    """Keep these capabilities, a set of bits, and no other."""
    if sys.platform.startswith("linux"):
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        # Effective, permitted, inheritable; the same once more for numbers above 31.
        sets = (ctypes.c_uint32 * 6)(rights, rights, 0, 0, 0, 0)
        ctypes.CDLL(None).capset(header, sets)
