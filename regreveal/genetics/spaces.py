"""Which latent space a variant is tested in: it may differ between chromosomes."""

import threading

import numpy as np
import pandas as pd

from regreveal.genetics.kernel.whitening import orthonormal_columns
from regreveal.genetics.loco import LocoPredictions, subtract
from regreveal.genetics.manova import LatentSpace


class LatentSpaces:
    """One latent space for all autosomes, or one a chromosome.

    Chromosome X has sex among its covariates, since men carry one copy: without it, whatever
    differs between the sexes would be associated with the number of copies. With LOCO predictions,
    each chromosome's are subtracted from the latents before these are whitened.

    Parameters
    ----------
    latents : DataFrame, shape (n, k)
        Transformed.
    covariates : DataFrame, shape (n, c - 1), or None
    sample_ids : list of str, length n
    male : ndarray of bool, shape (n,), or None
        None where sex is not known of everyone; X is not tested then.
    loco : LocoPredictions, optional
    dtype, backend, threads
        As of `LatentSpace`.

    Attributes
    ----------
    sex_counts : bool
        Whether sex is among the covariates of chromosome X: it is known and differs, and is not
        one of the covariates already.

    Raises
    ------
    InputError
        As of `LatentSpace`.
    """

    def __init__(
        self,
        latents: pd.DataFrame,
        covariates: pd.DataFrame | None,
        sample_ids: list[str],
        male: np.ndarray | None = None,
        loco: LocoPredictions | None = None,
        *,
        dtype: str = "float64",
        backend: str = "numpy",
        threads: int | None = None,
    ):
        self._latents, self._covariates, self._sample_ids = latents, covariates, sample_ids
        self._male, self._loco = male, loco
        self.sex_counts = _adds_something(male, covariates)
        self._options = {"dtype": dtype, "backend": backend, "threads": threads}
        self._held: dict[tuple[str | None, bool], LatentSpace] = {}
        self._lock = threading.Lock()
        if loco is None:
            self.of_autosomes()  # for its errors, before anything else is done

    def of_autosomes(self) -> LatentSpace:
        """Space without any LOCO predictions."""
        if self._loco is None:
            return self.of(None, with_sex=False)
        return LatentSpace(self._latents, self._covariates, **self._options)

    def of(self, chromosome: str | None, with_sex: bool) -> LatentSpace:
        """Space of a chromosome's variants; the last two made are kept."""
        key = (None if self._loco is None else chromosome, with_sex and self.sex_counts)
        with self._lock:
            if key not in self._held:
                # Two: statistics of one chromosome are made while products of the next begin.
                self._held = dict(list(self._held.items())[-1:]) | {key: self._make(*key)}
            return self._held[key]

    def __getstate__(self) -> dict:
        """Without the lock: each process has its own."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    def _make(self, chromosome: str | None, with_sex: bool) -> LatentSpace:
        latents, covariates = self._latents, self._covariates
        if with_sex:
            sex = pd.DataFrame({"male": self._male.astype(float)})
            covariates = sex if covariates is None else pd.concat([covariates, sex], axis=1)
        if self._loco is not None:
            predictions = self._loco.predictions(
                chromosome, self._sample_ids, list(latents.columns)
            )
            rest = subtract(latents, self._covariates, predictions)
            latents = pd.DataFrame(rest, columns=latents.columns)
        return LatentSpace(latents, covariates, **self._options)


def _adds_something(male: np.ndarray | None, covariates: pd.DataFrame | None) -> bool:
    """Whether sex is known, differs, and the covariates leave something of it."""
    if male is None or male.all() or not male.any():
        return False
    columns = [] if covariates is None else [covariates.to_numpy(float)]
    _, kept = orthonormal_columns(np.column_stack([*columns, male.astype(float)]))
    return bool(kept[-1])
