"""The one error a user can cause."""

from __future__ import annotations


class InputError(ValueError):
    """What was given cannot be used.

    The message is one line for the person at the screen: what was wanted, what came,
    what to do. The window shows it, the command line prints it; no trace goes with it.
    """
