"""What can go wrong through no bug of ours, and the exit status each ends with.

An error's message is one line: what was expected, what was got, in which file or flag, and what to do next.
"""


class A2Error(Exception):
    """A mistake the user can mend; shown as one line, never as a traceback."""

    exit_status = 1


class SettingsError(A2Error):
    """A flag, preset or combination of settings that cannot be used."""

    exit_status = 2


class DataError(A2Error):
    """Data, weights or a run's folder that cannot be used."""

    exit_status = 3


class DivergedError(A2Error):
    """Training produced a loss that is not a finite number."""

    exit_status = 4


class RefutedError(A2Error):
    """A check that was asked for came out false."""

    exit_status = 5
