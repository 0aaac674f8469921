"""The usual exceptions of the operating system as sentences; everything else is a bug and stays a traceback."""

from __future__ import annotations

import errno

DISK = "free space, or write to another disk, and run the same command again"
RIGHTS = "mend its permissions, or name another place"
# errno -> what is wrong, what to do
USUAL = {
    errno.ENOSPC: ("the disk is full", DISK),
    errno.EDQUOT: ("the quota of the disk is used up", DISK),
    errno.EFBIG: (
        "the file would be larger than the system allows",
        "raise the limit (ulimit -f), or use another disk",
    ),
    errno.EROFS: ("the place is read-only", "name another place, or mount it writable"),
    errno.EACCES: ("permission is denied", RIGHTS),
    errno.EPERM: ("the operation is not permitted", RIGHTS),
    errno.ENOENT: ("there is no such file or folder", "check the name"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "name another place, or move the file away"),
    errno.EISDIR: ("a folder stands where a file is needed", "name another place, or move the folder away"),
    errno.EEXIST: ("something else stands there", "name another place, or move it away"),
    errno.ENOTEMPTY: ("the folder is not empty", "another process writes there; let it end and run the command again"),
    errno.ELOOP: ("its links point at each other", "remove the links"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n) and run the same command again"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs and run the same command again"),
    errno.EIO: ("the disk answered with an error", "check the disk, and make the file again"),
    errno.ESTALE: ("the file went away under the network file system", "run the same command again"),
    errno.EAGAIN: ("the machine gives no more processes or threads", "lower threads, or end other programs"),
    errno.ETIMEDOUT: ("the disk does not answer", "check the mount and run the same command again"),
    errno.EXDEV: ("it lies on another disk", "name a place on the same one"),
    errno.ENOMEM: ("there is no memory left", "end other programs, or use a machine with more memory"),
    errno.EPIPE: ("the reader of the output has gone", "run the command again without it"),
}


def os_error(error: BaseException | None) -> OSError | None:
    """The error of the operating system behind an exception: itself, or what a library made another one of.

    torch, for one, raises a RuntimeError about positions in a file when the disk is full.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno is not None:
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def reason(error: OSError) -> str:
    """What is wrong, in our words where we have some, and in the system's."""
    system = str(error.strerror or error)
    known = USUAL.get(error.errno or 0)
    return system if known is None else f"{known[0]}: {system}"


def sentence(error: BaseException) -> str | None:
    """One sentence for an exception that is nobody's bug, None for all others."""
    if isinstance(error, MemoryError):
        return (
            "there is not enough memory: end other programs, lower --memory-mb or training.batch_size, and run again."
        )
    if not isinstance(error, OSError) or error.errno not in USUAL:
        return None
    wrong, remedy = USUAL[error.errno]
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' and '.join(names) or 'a file'}: {wrong} ({error.strerror}); {remedy}."
