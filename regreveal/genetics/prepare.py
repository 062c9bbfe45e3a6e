"""What is tested: latents of those who have everything, confounders taken out, transformed."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.genetics.genotypes import Genotypes
from regreveal.genetics.genotypes.ploidy import read_sex
from regreveal.genetics.matching import Matched, match_participants
from regreveal.genetics.nullspace import project_out
from regreveal.genetics.transforms import transform_latents
from regreveal.store.embedding import Embedding


@dataclass(frozen=True)
class PreparedLatents:
    """Latents ready for a latent GWAS.

    Attributes
    ----------
    matched : Matched
        Who is analysed, and their covariates.
    men : ndarray of bool, shape (n,), or None
        None where sex is not known of everyone.
    latents : DataFrame, shape (n, k)
        As embedded, columns latent_0 and so on; or projected, columns projected_0 and so on.
    transformed : DataFrame, shape (n, k)
        The same, transformed: what is tested.
    nullspace : DataFrame or None
        How well the confounders that were projected out were predicted before and after.
    """

    matched: Matched
    men: np.ndarray | None
    latents: pd.DataFrame
    transformed: pd.DataFrame
    nullspace: pd.DataFrame | None


def prepare_latents(
    embedding: Embedding,
    genotypes: Genotypes,
    covariates: pd.DataFrame | str | os.PathLike | None,
    *,
    covariate_columns: list[str] | None = None,
    participants: Iterable[str] | None = None,
    sex_column: str | None = None,
    project_out_columns: Sequence[str] = (),
    transform: str = "radial",
) -> PreparedLatents:
    """Match participants, project confounders out and transform; parameters as of `run_gwas`.

    Raises
    ------
    InputError
        Nobody has everything, or values that cannot be used.
    """
    matched = match_participants(
        embedding.sample_ids,
        genotypes.samples,
        covariates,
        covariate_columns,
        participants,
        confounders=project_out_columns,
        sex_column=sex_column,
    )
    men = _men(matched, genotypes)
    values, prefix, report = embedding.select(matched.sample_ids), "latent_", None
    if project_out_columns:
        projection = project_out(values, matched.confounders)
        values, prefix, report = projection.latents, "projected_", projection.report
    latents = pd.DataFrame(values).add_prefix(prefix)
    transformed = transform_latents(latents, transform, matched.covariates)
    return PreparedLatents(
        matched, men, latents, pd.DataFrame(transformed, columns=latents.columns), report
    )


def _men(matched: Matched, genotypes: Genotypes) -> np.ndarray | None:
    """Who is a man, by the covariates or else the genotype files; None if not known of everyone."""
    if matched.sex is not None:
        sex = read_sex(matched.sex)
    elif genotypes.sex is not None:
        sex = pd.Series(genotypes.sex, index=genotypes.samples).loc[matched.sample_ids].to_numpy()
    else:
        return None
    return sex == 1 if (sex > 0).all() else None
