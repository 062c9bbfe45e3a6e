"""The one exception that means "your input, not our code"."""


class InputError(ValueError):
    """Input that cannot be used: the message is one line saying what, where and what to do.

    The command line prints the message and exits with status 1; any other exception is a defect
    of RegReveal and keeps its traceback.

    Ids and names of files stand in messages as they came, but for what is no sign: line breaks,
    and what commands a terminal or turns the direction of writing, become question marks.
    """

    def __init__(self, message: str):
        # A no-break space keeps numbers and units together.
        super().__init__("".join(s if s.isprintable() or s == "\u00a0" else "?" for s in message))
