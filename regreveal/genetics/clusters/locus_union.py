"""Lead variants of several latent spaces put together: one for each place of the genome."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from regreveal.genetics.analyses import CORRECTED
from regreveal.genetics.merging import merge_loci

LEAD_COLUMNS = ["variant_id", "row", "position", "ref", "alt", "nearest_gene"]


def unite_leads(
    scans: Mapping[str, pd.DataFrame],
    read_dosages: Callable[[np.ndarray], np.ndarray],
    covariates: np.ndarray | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give one lead variant for each place where any of several scans has a locus.

    Loci are the same place by `merge_loci`. Where several scans, or one of them several times,
    have a locus in a place, the lead of smallest p stands for it.

    Parameters
    ----------
    scans : mapping of str to DataFrame
        Loci of each scan of the same genotypes, from `read_loci`.
    read_dosages, covariates
        As of `merge_loci`.

    Returns
    -------
    DataFrame
        A row a place in genome order: locus, chromosome, start and end of the place; variant_id,
        row, position, ref, alt and nearest_gene of its lead; found_in, the scans with a locus
        there, with semicolons between.
    """
    merged = merge_loci(scans, read_dosages, covariates)
    found = [
        table.assign(scan=name, place=merged.place[name])[
            [*LEAD_COLUMNS, CORRECTED, "scan", "place"]
        ]
        for name, table in scans.items()
        if len(table)
    ]
    if not found:
        empty = pd.DataFrame(columns=[*LEAD_COLUMNS, "found_in"])
        return merged.loci.drop(columns="nearest_gene").join(empty)
    leads = pd.concat(found, ignore_index=True)
    found_in = leads.groupby("place")["scan"].agg(
        lambda names: ";".join(name for name in scans if (names == name).any())
    )
    # By position among equals, so that the order of the scans does not decide.
    strongest = leads.sort_values([CORRECTED, "position"], ascending=[False, True], kind="stable")
    strongest = strongest.drop_duplicates("place").set_index("place")[LEAD_COLUMNS]
    places = merged.loci.drop(columns="nearest_gene")
    return places.join(strongest).assign(found_in=found_in)
