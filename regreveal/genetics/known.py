"""Which loci are new, compared with places that the user knows of, such as the GWAS Catalog's."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.chromosomes import HUMAN_AUTOSOMES, chromosome_of_positions
from regreveal.genetics.loci import by_chromosome, need_columns, read_site_table, whole_numbers

# A locus is known if a known place is this near to its region.
KNOWN_WINDOW = 500_000

# The GWAS Catalog's names of columns, and where it joins several places: "6;6", "1 x 12".
_CATALOG = ("CHR_ID", "CHR_POS")
_CATALOG_NAMES = ("MAPPED_TRAIT", "DISEASE/TRAIT", "SNPS")
_SEVERAL = r"\s*;\s*|\s+x\s+"

_OWN = ("chromosome", "position", "start", "end")
_OWN_NAMES = ("name", "trait", "variant_id", "rsid", "gene")

_COLUMNS = {*_CATALOG, *_CATALOG_NAMES, *_OWN, *_OWN_NAMES}


def read_known_loci(path: str | os.PathLike) -> pd.DataFrame:
    """Read places where associations are known.

    Parameters
    ----------
    path : path-like
        Tab-separated (.csv: commas), perhaps compressed (.gz). Either columns chromosome and
        position, or chromosome, start and end, and if there is one of them, name, trait,
        variant_id, rsid or gene; or a download of the GWAS Catalog (CHR_ID, CHR_POS and
        MAPPED_TRAIT, DISEASE/TRAIT or SNPS), whose associations without a position are left out.

    Returns
    -------
    DataFrame
        chromosome, start, end and name (empty where there is none). Positions are of whichever
        genome assembly the file is in: nothing in it tells whether that is the genotypes' own.

    Raises
    ------
    InputError
        The file or a column is missing, a position is no number, or there are no places in it.
    """
    path = Path(path)
    # The catalog has tens of columns of long texts.
    header = read_site_table(path, nrows=0)
    table = read_site_table(path, usecols=[name for name in header if name in _COLUMNS])
    if set(_CATALOG) <= set(header):
        known = _from_catalog(path, table)
    else:
        needed = ["start", "end"] if "start" in header else ["position", "position"]
        need_columns(path, header, ["chromosome", *needed])
        start, end = (whole_numbers(path, table[column]) for column in needed)
        if (end < start).any():
            row = int(np.argmax(end < start))
            raise InputError(
                f"{path.name}: start {start[row]} is after end {end[row]}; exchange them"
            )
        known = pd.DataFrame(
            {
                "chromosome": table["chromosome"],
                "start": start,
                "end": end,
                "name": _first_of(table, _OWN_NAMES),
            }
        )
    if not len(known):
        raise InputError(f"{path.name}: no known locus with a position in it")
    return known


def _from_catalog(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    places = pd.DataFrame(
        {
            "chromosome": table["CHR_ID"].str.strip().str.split(_SEVERAL, regex=True),
            "CHR_POS": table["CHR_POS"].str.strip().str.split(_SEVERAL, regex=True),
            "name": _first_of(table, _CATALOG_NAMES),
        }
    )
    together = places["chromosome"].str.len() == places["CHR_POS"].str.len()
    if not together.all():
        row = int(np.argmin(together))
        raise InputError(
            f"{path.name}: CHR_ID '{table['CHR_ID'][row]}' and CHR_POS '{table['CHR_POS'][row]}' "
            "are not as many places; correct or remove the line"
        )
    places = places.explode(["chromosome", "CHR_POS"], ignore_index=True)
    places = places[(places["chromosome"] != "") & (places["CHR_POS"] != "")]
    position = whole_numbers(path, places["CHR_POS"])
    return places.assign(start=position, end=position)[
        ["chromosome", "start", "end", "name"]
    ].reset_index(drop=True)


def _first_of(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.Series:
    """Column that comes first in `columns`, of those there are."""
    there = [column for column in columns if column in table]
    return table[there[0]] if there else pd.Series("", index=table.index)


def mark_novel(
    loci: pd.DataFrame,
    known: pd.DataFrame,
    window: int = KNOWN_WINDOW,
    autosomes: int = HUMAN_AUTOSOMES,
) -> pd.DataFrame:
    """Say of each locus whether something is known there.

    A locus is known if a known place overlaps its region or is at most `window` base pairs away.

    Parameters
    ----------
    loci : DataFrame
        chromosome, start, end, and position of the lead variant.
    known : DataFrame
        From `read_known_loci`, in the same genome assembly.
    window : int
        Base pairs, inclusive.
    autosomes : int
        Pairs of autosomes of the species, see `canonical_chromosome`.

    Returns
    -------
    DataFrame
        `loci` with columns known (bool); known_name, of the nearest known place (of several as
        near, the one nearest to the lead variant), empty where the locus is not known; and
        known_distance, of the nearest one on the chromosome from the region, 0 inside it and
        missing where there is none.
    """
    known_on = by_chromosome(known, autosomes)
    is_known, names, distances = [], [], []
    for locus in loci[["chromosome", "start", "end", "position"]].itertuples(index=False):
        here = known_on.get(chromosome_of_positions(locus.chromosome, autosomes))
        if here is None:
            distance, name = pd.NA, ""
        else:
            start, end = here["start"].to_numpy(), here["end"].to_numpy()
            away = np.maximum(0, np.maximum(start - locus.end, locus.start - end))
            from_lead = np.maximum(0, np.maximum(start - locus.position, locus.position - end))
            nearest = np.lexsort((from_lead, away))[0]
            distance, name = int(away[nearest]), here["name"].iloc[nearest]
        near = distance is not pd.NA and distance <= window
        is_known.append(near)
        names.append(name if near else "")
        distances.append(distance)
    return loci.assign(
        known=np.array(is_known, bool),
        known_name=np.array(names, object),
        known_distance=pd.array(distances, dtype="Int64"),
    )
