"""The one exception that means "your input, not our code"."""


class InputError(ValueError):
    """Input that cannot be used: the message is one line saying what, where and what to do.

    The command line prints the message and exits with status 1. Any other exception is a defect of
    RegReveal: one line that says where, status 70, and its traceback after `--debug`.

    Ids and names of files stand in messages as they came, but for what is no sign: line breaks,
    and what commands a terminal or turns the direction of writing, become question marks; tabs
    become spaces.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Make question marks of line breaks and of signs that command a terminal or turn writing."""
    # A no-break space keeps numbers and units together.
    return "".join(
        sign if sign.isprintable() or sign == "\u00a0" else "?" for sign in text.replace("\t", " ")
    )
