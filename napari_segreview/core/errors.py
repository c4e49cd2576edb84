"""The one error a user can cause, for layers and panels too; any error in words."""

from __future__ import annotations

import errno
from types import MappingProxyType

from src_models.errors import InputError

__all__ = ["InputError", "in_one_line", "reason"]

REASONS = MappingProxyType(
    {  # errno → what to say
        errno.ENOSPC: "the disk is full; free some space",
        errno.EDQUOT: "your disk quota is used up; free some space",
        errno.EROFS: "the disk is read-only",
        errno.EIO: "the disk reports an error",
    }
)


def reason(error: OSError) -> str:
    """Why something could not be read or written, and what to do; names no file."""
    return REASONS.get(error.errno or 0) or error.strerror or str(error)


def in_one_line(error: Exception) -> str:
    """What the person is told of an error."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError):
        said = reason(error)
        return f"{error.filename}: {said}" if error.filename else said
    first, *_ = [*str(error).strip().splitlines(), "no message"]
    return (
        f"Something went wrong in the program ({type(error).__name__}: {first}). "
        "Nothing was changed; the log has the details."
    )
