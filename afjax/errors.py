"""The exception and the warning for mistakes of the person who runs a command."""

import errno
import os


class InputError(ValueError):
    """Input that can't be used. `str()` is one line: what is wrong, where, what to do.

    Binaries print it and exit with code 2 (`data_pipeline.command.run`); every other exception is a defect of
    ours and keeps its traceback.
    """

    def __init__(self, what: str, where: object = None, do: str = ""):
        parts = [what if where is None else f"{where}: {what}", do]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


class InputWarning(UserWarning):
    """Input that was used otherwise than it may have been meant, in one line. Programs print it."""


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def disk_error(error: Exception, where: object = None, do: str = "") -> Exception:
    """An InputError in place of an error with which a disk refuses (it is full, read-only, ...); others as they are.

    The error is known by the system's words, which libraries that write by themselves put into errors of their own.
    """
    reasons = [] if isinstance(error, InputError) else [os.strerror(code) for code in _DISK]
    reason = next((reason for reason in reasons if reason in str(error)), "")
    return InputError(reason, where or getattr(error, "filename", None), do) if reason else error
