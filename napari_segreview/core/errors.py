"""The one error a user can cause, for layers and panels too."""

from __future__ import annotations

from src_models.errors import InputError

__all__ = ["InputError", "in_one_line"]


def in_one_line(error: Exception) -> str:
    """What the person is told of an error."""
    if isinstance(error, (InputError, OSError)):
        return str(error)
    first, *_ = [*str(error).strip().splitlines(), "no message"]
    return (
        f"Something went wrong in the program ({type(error).__name__}: {first}). "
        "Nothing was changed; the log has the details."
    )
