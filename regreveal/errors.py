"""The one exception that means "your input, not our code"."""


class InputError(ValueError):
    """Input that cannot be used: the message is one line saying what, where and what to do.

    The command line prints the message and exits with status 1; any other exception is a defect
    of RegReveal and keeps its traceback.
    """
