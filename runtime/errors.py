"""What a user can do something about, in one line."""

from __future__ import annotations


class UserError(Exception):
    """A fault of the command, the data or the machine: one line that says what to do."""
