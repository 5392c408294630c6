"""The two ways in which a job may end early through no fault of the program."""

from __future__ import annotations


class BadInput(Exception):
    """The input cannot be used.

    The message is one sentence: which file, what is wrong with it, and what to do. It is shown to the user as it is.
    The command ends with exit code 2.
    """


class Cancelled(Exception):
    """The user stopped the job. The command ends with exit code 3 and leaves no result folder."""
