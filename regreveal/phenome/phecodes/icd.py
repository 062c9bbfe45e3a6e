"""ICD codes as text: which classification a code is of, and one way of writing it.

Codes of ICD-9 and ICD-10 can look alike (E850 is an accidental poisoning in one and amyloidosis
in the other), so a code always goes with its vocabulary.
"""

import re

import pandas as pd

VOCABULARIES = ("icd9", "icd10")
_NUMERIC_CATEGORY = r"^(\d{1,2})\."
_V_CATEGORY = r"^V(\d)\."


def find_vocabulary(name: str) -> str | None:
    """Tell from "ICD10CM", "ICD-9-CM" or "9" which of `VOCABULARIES` it is; None for others."""
    plain = re.sub(r"[^A-Z0-9]", "", str(name).upper().removesuffix(".0"))
    found = re.fullmatch(r"(?:ICD)?(9|10)(?:CM|WHO|GM|CA|AM)?", plain)
    return f"icd{found[1]}" if found else None


def find_edition(name: str) -> str:
    """Tell "WHO" from the clinical modification, "CM"; empty where the name does not say."""
    plain = re.sub(r"[^A-Z0-9]", "", str(name).upper())
    return {"ICD10": "WHO", "ICD10CM": "CM"}.get(plain, "")


def normalise_codes(codes: pd.Series, vocabulary: str) -> pd.Series:
    """Write codes in capitals, without dots and spaces: "i48.0" is "I480".

    ICD-9 has three digits before the dot. Where a spreadsheet took leading zeros away and the dot
    still tells, they are put back: "8.45" is "00845". "845" stays as it is.

    Parameters
    ----------
    codes : Series of str
    vocabulary : {"icd9", "icd10"}

    Returns
    -------
    Series of str
    """
    codes = codes.str.upper().str.replace(r"\s", "", regex=True)
    if vocabulary == "icd9":
        codes = codes.str.replace(_NUMERIC_CATEGORY, lambda m: f"{m[1]:0>3}.", regex=True)
        codes = codes.str.replace(_V_CATEGORY, r"V0\1.", regex=True)
    return codes.str.replace(".", "", regex=False)
