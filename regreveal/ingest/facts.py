"""Reading age, sex, rhythm and measurements as devices and databases write them."""

import math
import re
from collections.abc import Iterable

AGE = re.compile(r"(?P<bound>[<>]=?)?\s*(?P<value>\d+(\.\d+)?)\s*(?P<open>\+)?\s*(?P<unit>[YMWD])?")
YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
OLDEST = 120.0
# Ages over 89 identify people, so databases hide them: as ">89", "90+" or, in PTB-XL, 300.
HIDDEN_AGE = 90.0
PTB_XL_HIDDEN_AGE = 300.0

# Roots rather than words, because devices write in the language of their country: "sinus rhythm",
# "Sinusrhythmus", "ritmo sinusale".
SINUS = re.compile(r"(?<!no )\bsinus(?! arrest)", re.IGNORECASE)
NOT_SINUS = re.compile(
    r"fibril+a|flutter|flattern|vorhofflimmern|\bpaced\b|pacemaker|junctional|ectopic atrial|"
    r"(supra)?ventricular (tachycardia|rhythm)|idioventricular|atrial (tachycardia|rhythm)|"
    r"escape rhythm|sinus arrest",
    re.IGNORECASE,
)


def age_in_years(text: str | None) -> float | None:
    """Age from text such as "63", "042Y", "18M", ">89" or "NaN".

    Parameters
    ----------
    text : str or None
        A number with an optional unit, Y, M, W or D as in DICOM's age strings; years without.

    Returns
    -------
    float or None
        Years; 90 where the file only tells that someone is over 89; None where it does not tell
        or where nobody is that old.
    """
    matched = AGE.fullmatch((text or "").strip().upper())
    if matched is None or (matched["bound"] or "").startswith("<"):
        return None
    age = float(matched["value"]) * YEARS_PER_UNIT[matched["unit"] or "Y"]
    if age == PTB_XL_HIDDEN_AGE:
        return HIDDEN_AGE
    if matched["bound"] or matched["open"]:
        return HIDDEN_AGE if age >= HIDDEN_AGE - 1 else None
    return age if age <= OLDEST else None


def sex_of(text: str | None) -> str | None:
    """Sex as "female" or "male", from text such as "F", "Male" or "FEMALE"; else None."""
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(
        (text or "").strip().lower()
    )


def rhythm_of_text(statements: Iterable[str]) -> str | None:
    """Rhythm from a device's or a cardiologist's statements.

    Parameters
    ----------
    statements : iterable of str

    Returns
    -------
    str or None
        "sinus" or "other"; None where no statement names a rhythm, or where they contradict each
        other, as "sinus rhythm" and "atrial fibrillation" do.
    """
    text = "\n".join(statements)
    named = {
        rhythm
        for rhythm, pattern in (("sinus", SINUS), ("other", NOT_SINUS))
        if pattern.search(text)
    }
    return named.pop() if len(named) == 1 else None


def measurement(value: object) -> float | None:
    """Give a device's measurement as a number; None for empty text and for 0, "not measured"."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
