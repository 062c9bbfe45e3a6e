"""How things are named in sentences, tables and figures."""

from collections.abc import Sequence

METRICS = {"r2": "R²", "auc": "ROC AUC"}


def listed(words: Sequence[str]) -> str:
    """Join words as in a sentence: "a, b and c"."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: "1 locus", "3 loci", "no loci"."""
    return f"{count or 'no'} {one if count == 1 else many or one + 's'}"


def spoken(name: str) -> str:
    """Write a column's name as a reader would: "pr_interval" becomes "PR interval"."""
    words = name.replace("_", " ").replace(".", ": ").split()
    return " ".join(_SPOKEN.get(word, word) for word in words)


_SPOKEN = {
    "pc": "PC",
    "pr": "PR",
    "qrs": "QRS",
    "qt": "QT",
    "p": "P",
    "r": "R",
    "t": "T",
    "bmi": "BMI",
    "rr": "RR",
    "lv": "LV",
    "rv": "RV",
    "la": "LA",
    "mv": "(mV)",
}
