"""What REGENIE's step 1 takes of the latents that are tested; `loco` reads what it predicts."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.bed import read_fam
from regreveal.genetics.genotypes.pgen import read_psam
from regreveal.store.atomic import atomic_path


def write_regenie_inputs(
    folder: str | os.PathLike,
    latents: pd.DataFrame,
    covariates: pd.DataFrame | None = None,
    family_ids: Sequence[str] | None = None,
) -> None:
    """Write the phenotype and covariate files that REGENIE step 1 takes.

    `regreveal.genetics.loco` reads what it predicts.

    Parameters
    ----------
    folder : path-like
        Where `phenotypes.txt` and, with covariates, `covariates.txt` are written.
    latents : DataFrame, shape (n, k)
        Indexed by sample id; those that are tested, hence transformed already.
    covariates : DataFrame, shape (n, c - 1), optional
        Numbers, in the same order.
    family_ids : sequence of str, length n, optional
        First column of the .fam file, where it is not the individual id.

    Raises
    ------
    InputError
        Rows that do not match, values that are not finite, or a name or id with white space.
    """
    ids = pd.DataFrame({"FID": latents.index if family_ids is None else family_ids})
    ids["IID"] = latents.index
    ids = ids.astype(str)
    _write_phenotypes(Path(folder) / "phenotypes.txt", ids, latents)
    if covariates is not None:
        # Nobody looks for covariates by name, and one-hot columns have those of their categories.
        names = ["_".join(str(name).split()) for name in covariates.columns]
        _write_phenotypes(Path(folder) / "covariates.txt", ids, covariates.set_axis(names, axis=1))


def _write_phenotypes(path: Path, ids: pd.DataFrame, table: pd.DataFrame) -> None:
    if len(table) != len(ids):
        raise InputError(f"{path.name}: {len(table)} rows for {len(ids)} participants")
    for name in (*map(str, table.columns), *ids["FID"], *ids["IID"]):
        if name.split() != [name]:
            raise InputError(f"{path.name}: '{name}' is empty or has white space; rename it")
    values = table.to_numpy(np.float64)
    if not np.isfinite(values).all():
        column = table.columns[int(np.argmin(np.isfinite(values).all(axis=0)))]
        raise InputError(f"{path.name}: '{column}' has values that are not finite")
    written = pd.concat([ids, pd.DataFrame(values, columns=table.columns)], axis=1)
    with atomic_path(path) as temporary:
        written.to_csv(temporary, sep=" ", index=False, float_format="%.10g")


def read_family_ids(genotypes: os.PathLike, sample_ids: Sequence[str]) -> list[str] | None:
    """Family ids of participants, from the .psam of a .pgen or the .fam beside another file.

    Parameters
    ----------
    genotypes : path-like
    sample_ids : sequence of str
        Individual ids.

    Returns
    -------
    list of str or None
        None where there is no such file, or it has no family ids.

    Raises
    ------
    InputError
        The file is malformed, or a participant is not in it.
    """
    path = Path(genotypes)
    is_pgen = path.suffix == ".pgen"
    path = path.with_suffix(".psam" if is_pgen else ".fam")
    if not path.is_file():
        return None
    people = read_psam(path) if is_pgen else read_fam(path)
    if "family_id" not in people:
        return None
    places = pd.Index(people["sample_id"]).get_indexer(list(sample_ids))
    if (places < 0).any():
        raise InputError(
            f"{path.name}: participant '{sample_ids[int(np.argmin(places))]}' is not in it; "
            "the file belongs to other genotypes"
        )
    return people["family_id"].iloc[places].tolist()
