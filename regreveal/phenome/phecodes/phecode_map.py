"""The map from ICD codes to phecodes, and what each phecode is.

The map is the user's: the published tables of phecodes 1.2 and of phecodeX, that of the package
phetk, or two tables of a site's own. They may come in any order and add to each other, the codes
from one, names, sex and exclusions from another.

References
----------
Denny et al. (2013), Nat. Biotechnol. 31:1102; Wu et al. (2019), JMIR Med. Inform. 7:e14325;
Shuey et al. (2023), Bioinformatics 39:btad655; docs/phecodes.md, "Phecodes".
"""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.phecodes.published_tables import normalise_phecodes, read_phecode_table

SEXES = ("both", "female", "male")
DESCRIPTIONS = ["name", "category", "category_number", "sex", "exclusions", "rollup"]
NO_CATEGORY = "other"
_RANGE = r"^(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)$"


@dataclass(frozen=True)
class PhecodeMap:
    """What each ICD code means, and what each phecode is.

    Parameters
    ----------
    codes : DataFrame
        `vocabulary` ("icd9" or "icd10"), `code` (without dots) and `phecode`, a row a pair; the
        phecode is empty where the map lists a code and gives it none.
    info : DataFrame
        Indexed by `phecode` (str), by category and number: `name`, `category` and `sex` (both,
        female or male).
    above : DataFrame
        `phecode` and `above`: a case of the first is a case of the second.
    related : DataFrame
        `phecode` and `related`: who has the second, and not the first, is no control of the first.
    edition : str
        Of ICD-10, "WHO" or "CM"; empty where the tables do not say.
    """

    codes: pd.DataFrame
    info: pd.DataFrame
    above: pd.DataFrame
    related: pd.DataFrame
    edition: str


def read_phecode_map(*paths: str | os.PathLike, edition: str | None = None) -> PhecodeMap:
    """Read the tables that make up a map.

    Parameters
    ----------
    *paths : path-like
        One or more; see `read_phecode_table`. What several say of a phecode is taken from the
        first that has a row a phecode, and only else from one with a row a code.
    edition : {"WHO", "CM"}, optional
        Of ICD-10, whose codes to use where tables have those of both. British hospitals need
        phecodeX of the WHO for ICD-10, and for ICD-9 the table of the clinical modifications.

    Returns
    -------
    PhecodeMap

    Raises
    ------
    InputError
        If a table cannot be read, no table has codes, two map different editions of ICD-10, a
        phecode is described twice or not at all, nothing is said of sexes, or a sex or an
        exclusion is none.
    """
    tables = {str(path): read_phecode_table(path) for path in paths}
    with_codes = {path: table for path, table in tables.items() if "code" in table}
    if not with_codes:
        raise InputError(
            f"{', '.join(tables)}: no table has ICD codes; expected a column icd10 or icd9, or icd "
            "with vocabulary_id or flag"
        )
    codes = pd.concat(
        [table[["vocabulary", "code", "phecode", "edition"]] for table in with_codes.values()]
    )
    codes = codes[codes["code"] != ""]
    editions = sorted(set(codes["edition"]) - {""})
    if edition is not None and editions:
        if edition not in editions:
            raise InputError(
                f"{', '.join(with_codes)}: codes of ICD-10 of edition {editions[0]} only, not of "
                f"{edition}"
            )
        codes, editions = codes[codes["edition"].isin(["", edition])], [edition]
    if len(editions) > 1:
        raise InputError(
            f"{', '.join(with_codes)}: codes of ICD-10 and of ICD-10-CM, some of which look alike "
            "and differ; say which edition the diagnoses are coded in, WHO or CM"
        )
    codes = codes[["vocabulary", "code", "phecode"]].drop_duplicates(ignore_index=True)
    info = _describe(tables)
    mapped = pd.Series(codes["phecode"].unique())
    undescribed = mapped[(mapped != "") & ~mapped.isin(info.index)]
    if len(undescribed):
        raise InputError(
            f"{', '.join(tables)}: phecode '{undescribed.iloc[0]}' ({len(undescribed)} in all) is "
            "not described; add a table with its name, such as phecode_definitions1.2.csv or "
            "phecodeX_info.csv, or a row to it"
        )
    if not any("sex" in table for table in tables.values()):
        raise InputError(
            f"{', '.join(tables)}: no table says which phecodes are of one sex; expected a column "
            "sex, or male_only and female_only"
        )
    unrolled = [t[["phecode", "unrolled"]] for t in tables.values() if "unrolled" in t]
    return PhecodeMap(
        codes=codes,
        info=info[["name", "category", "sex"]],
        above=_roll_up(info["rollup"], pd.concat(unrolled) if unrolled else None),
        related=_relate(info["exclusions"], ", ".join(tables)),
        edition=editions[0] if editions else "",
    )


def _describe(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Put together what the tables say of each phecode, in the order of categories and numbers."""
    described = []
    for path, table in sorted(tables.items(), key=lambda item: "code" in item[1]):
        said = table[["phecode", *(c for c in DESCRIPTIONS if c in table)]]
        if "code" not in table and (repeated := said["phecode"].duplicated()).any():
            phecode = said["phecode"][repeated].iloc[0]
            raise InputError(f"{path}: phecode '{phecode}' stands in more than one row")
        if "sex" in said:
            _check_sexes(said, path)
        described.append(said.drop_duplicates())
    rows = pd.concat(described).reindex(columns=["phecode", *DESCRIPTIONS])
    rows = rows[rows["phecode"] != ""]
    rows = rows.mask(rows == "")
    info = rows.groupby("phecode", sort=False).first()
    info = info[info["name"].notna()]
    info["sex"] = info["sex"].fillna("both").astype(str).str.lower()
    info["category"] = info["category"].mask(info["category"] == "NULL").fillna(NO_CATEGORY)
    info["number"] = _numbers(info.index, r"(\d+(?:\.\d+)?)$")
    # Where categories have no number, that of their phecodes puts them into the published order.
    by_number = info.groupby("category")["number"].transform("median")
    info["rank"] = pd.to_numeric(info["category_number"], errors="coerce").fillna(by_number)
    info = info.drop(columns="category_number").sort_values(["rank", "category", "number"])
    return info.fillna({"rollup": "", "exclusions": ""})


def _check_sexes(said: pd.DataFrame, path: str) -> None:
    other = said[~said["sex"].str.lower().isin([*SEXES, ""])]
    if len(other):
        raise InputError(
            f"{path}: phecode '{other['phecode'].iloc[0]}' has sex '{other['sex'].iloc[0]}'; "
            f"expected one of {', '.join(SEXES)}"
        )


def _numbers(phecodes: pd.Index, pattern: str) -> np.ndarray:
    """Read as a number what the pattern finds in each phecode; NaN where nothing."""
    found = phecodes.to_series().str.extract(pattern, expand=False)
    return pd.to_numeric(found, errors="coerce").to_numpy()


def _roll_up(rollup: pd.Series, unrolled: pd.DataFrame | None) -> pd.DataFrame:
    """List the phecodes above each: 427.2 and 427 above 427.21.

    Where a table lists them, by that; else by the decimals, up to a phecode that the definitions
    mark as not rolled up (column rollup 0): 250.4, abnormal glucose, is not diabetes, 250.
    """
    pairs, listed = [], set()
    if unrolled is not None:
        listed = set(unrolled["phecode"])
        other = unrolled[unrolled["phecode"] != unrolled["unrolled"]].drop_duplicates()
        pairs += list(other.itertuples(index=False, name=None))
    for phecode in rollup.index.difference(listed, sort=False):
        below = phecode
        for parent in _shorter(phecode):
            if parent in rollup.index:
                if rollup[below] == "0":
                    break
                pairs.append((phecode, parent))
                below = parent
    table = pd.DataFrame(pairs, columns=["phecode", "above"], dtype=str)
    return table[table.isin(rollup.index).all(axis=1)].reset_index(drop=True)


def _shorter(phecode: str) -> list[str]:
    """List the phecodes that the decimals of one put above it, the nearest first."""
    whole, dot, decimals = phecode.partition(".")
    if not dot:
        return []
    return [*(f"{whole}.{decimals[:end]}" for end in range(len(decimals) - 1, 0, -1)), whole]


def _relate(exclusions: pd.Series, where: str) -> pd.DataFrame:
    """List who is no control of what, from ranges ("249-250.99, 790.6") and lists of phecodes."""
    phecodes = exclusions.index
    exclusions = exclusions[exclusions != ""].str.split(r"\s*[,;]\s*", regex=True).explode()
    pairs = exclusions.rename("token").rename_axis("phecode").reset_index()
    ranges = pairs["token"].str.extract(_RANGE).astype(float).dropna()
    pairs["related"] = normalise_phecodes(pairs["token"])
    wrong = pairs[pairs["token"].str.contains(r"[\s-]")].drop(index=ranges.index)
    if len(wrong):
        raise InputError(
            f"{where}: phecode '{wrong['phecode'].iloc[0]}' has the exclusion "
            f"'{wrong['token'].iloc[0]}'; expected a phecode or a range such as 249-250.99"
        )
    parts = [pairs.drop(index=ranges.index)[["phecode", "related"]]]
    numbers = _numbers(phecodes, r"^(\d+(?:\.\d+)?)$")
    for (low, high), rows in ranges.groupby([0, 1]):
        inside = phecodes[(numbers >= low) & (numbers <= high)]
        of = pairs.loc[rows.index, "phecode"]
        repeated = {"phecode": of.repeat(len(inside)), "related": np.tile(inside, len(of))}
        parts.append(pd.DataFrame(repeated))
    table = pd.concat(parts).drop_duplicates()
    # Phecodes that nothing describes nobody can have.
    table = table[table["related"].isin(phecodes) & (table["phecode"] != table["related"])]
    return table.reset_index(drop=True)
