"""What is tried, as it is declared."""

CASES = {}


def case(description, message):
    """Keep a function that writes a hostile file to a folder and reads it."""

    def keep(function):
        CASES[function.__name__.replace("_", " ")] = (description, message, function)
        return function

    return keep
