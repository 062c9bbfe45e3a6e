"""Split-half PheWAS: a direction learnt in half of the people, tested in the other half.

In one half, the direction from the centroid of controls to that of cases in the whitened latent
space; the other half is projected on it and the projection tested in a logistic regression with
covariates; then the halves change roles.

The two tests are not independent: both scores are, to first order, the inner product of the two
halves' directions. They are therefore combined as one test seen twice, not as two that agree;
docs/phenome.md, "Combining the halves".
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm

from regreveal.errors import InputError
from regreveal.phenome.logistic import LogisticTest, coefficient_test
from regreveal.phenome.phecodes import (
    phecode_status,
    read_diagnoses,
    read_phecode_map,
    unmapped_codes,
)
from regreveal.progress import track
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import design_matrix, write_table
from regreveal.store.embedding import Embedding

MINIMUM_CASES = 20
RARER_PER_COEFFICIENT = 10  # cases or controls in a half, below which estimates are biased
TWO_SIDED_95 = norm.ppf(0.975)
PHECODES_AT_ONCE = 64  # projected together, in one matrix product

ESTIMATES = ["beta", "standard_error", "odds_ratio", "low", "high", "neg_log10_p"]
ESTIMATES += ["bonferroni", "q_value"]
COLUMNS = ["phecode", "name", "category", "n_cases", "n_controls", "n_excluded"]
COLUMNS += [*ESTIMATES, "method", "reason"]


def phewas(
    latents: np.ndarray,
    status: pd.DataFrame,
    covariates: np.ndarray | None,
    info: pd.DataFrame,
    seed: int = 0,
    minimum_cases: int = MINIMUM_CASES,
) -> pd.DataFrame:
    """Test every phecode for a direction in the latent space.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    status : DataFrame, shape (n, phecodes)
        1 case, 0 control, NaN neither, as `phecode_status` gives it; aligned with the latents and
        indexed by sample id.
    covariates : ndarray, shape (n, c), or None
        Age, sex, ancestry and so on, as numbers and without an intercept.
    info : DataFrame
        `name` and `category`, indexed by phecode.
    seed : int
        Of the halves, which depend on it, the sample ids and the status only.
    minimum_cases : int
        Phecodes with fewer cases, or fewer controls, are not tested.

    Returns
    -------
    DataFrame
        A row a phecode, in the order of `status`: phecode, name, category, n_cases, n_controls,
        n_excluded; beta, standard_error (Wald's), odds_ratio, low and high (95 %, two-sided, by the
        likelihood ratio), all a standard deviation of the component; neg_log10_p, one-sided for a
        positive beta; bonferroni and q_value (Benjamini and Hochberg) over the phecodes tested;
        method ("logistic", or "firth" where either half needed it); and reason, why it was not
        tested.

    Raises
    ------
    InputError
        If latents or covariates are not finite, do not fit the status, or do not leave enough
        participants for the dimensions.
    """
    whitened = whiten(latents, covariates, len(status))
    n, _ = whitened.shape
    covariates = np.empty((n, 0)) if covariates is None else np.asarray(covariates, np.float64)
    order = _order(status.index, seed)
    rows = []
    projected = _project(whitened, status, order)
    for phecode, half, components in track(projected, "Testing phecodes", status.shape[1]):
        outcome = status[phecode].to_numpy()
        row = {
            "phecode": phecode,
            "name": info.loc[phecode, "name"],
            "category": info.loc[phecode, "category"],
            "n_cases": int(np.sum(outcome == 1)),
            "n_controls": int(np.sum(outcome == 0)),
            "n_excluded": int(np.sum(np.isnan(outcome))),
            "method": "",
            "reason": "",
        }
        if row["n_cases"] < minimum_cases:
            row["reason"] = f"fewer than {minimum_cases} cases"
        elif row["n_controls"] < minimum_cases:
            row["reason"] = f"fewer than {minimum_cases} controls"
        else:
            row |= _test_phecode(outcome, half, components, covariates)
        rows.append(row)
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(ESTIMATES, np.float64))
    tested = table["reason"] == ""
    p = 10.0 ** -table.loc[tested, "neg_log10_p"].to_numpy(np.float64)
    table.loc[tested, "bonferroni"] = np.minimum(p * len(p), 1.0)
    if len(p):
        table.loc[tested, "q_value"] = false_discovery_control(p)
    return table


def whiten(latents: np.ndarray, covariates: np.ndarray | None, n: int) -> np.ndarray:
    """Take the covariates out of the latents and make them uncorrelated, of variance one.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    covariates : ndarray, shape (n, c), or None
        An intercept is added.
    n : int
        How many participants there should be.

    Returns
    -------
    ndarray, shape (n, rank)
        The rank is k, less latents that are constant or combinations of others.

    Raises
    ------
    InputError
        As in `phewas`.
    """
    latents = np.asarray(latents, np.float64)
    if latents.ndim != 2 or len(latents) != n or not n:
        raise InputError(
            f"phewas: latents have shape {latents.shape}; expected ({n}, dimensions), "
            "a row a participant"
        )
    design = np.ones((n, 1))
    if covariates is not None:
        if np.shape(covariates)[0] != n:
            raise InputError(f"phewas: {len(covariates)} rows of covariates for {n} participants")
        design = np.column_stack([design, covariates])
    for name, values in (("latents", latents), ("covariates", design)):
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise InputError(
                f"phewas: {name} have values that are not finite for {bad.sum()} of {n} "
                "participants; leave them out"
            )
    if n < 2 * (latents.shape[1] + design.shape[1]):
        raise InputError(
            f"phewas: {n} participants for {latents.shape[1]} dimensions and {design.shape[1]} "
            "covariates; expected at least twice as many"
        )
    basis = np.linalg.qr(design)[0]
    scale = latents.std(axis=0)
    residuals = latents - basis @ (basis.T @ latents)
    residuals -= basis @ (basis.T @ residuals)
    residuals /= np.where(scale > 0, scale, 1)
    eigenvalues, axes = np.linalg.eigh(residuals.T @ residuals / n)
    kept = eigenvalues > 1e-10
    if not kept.any():
        raise InputError("phewas: latents are constant or combinations of the covariates")
    return residuals @ axes[:, kept] / np.sqrt(eigenvalues[kept])


def split_halves(status: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Halve cases and controls separately.

    Parameters
    ----------
    status : ndarray, shape (n, phecodes)
    order : ndarray of int, shape (n,)
        A random order of the participants, in which they go to the halves by turns.

    Returns
    -------
    ndarray of int, shape (n, phecodes)
        0 or 1; -1 for those who are neither case nor control.
    """
    halves = np.full(status.shape, -1)
    for value in (0, 1):
        of_value = status[order] == value
        turn = np.cumsum(of_value, axis=0) % 2
        halves[order] = np.where(of_value, turn, halves[order])
    return halves


def _order(sample_ids: pd.Index, seed: int) -> np.ndarray:
    """Shuffle the participants, the same way however they are ordered."""
    by_id = np.argsort(sample_ids.astype(str).to_numpy(), kind="stable")
    return by_id[np.random.default_rng(seed).permutation(len(by_id))]


def _project(
    whitened: np.ndarray, status: pd.DataFrame, order: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each phecode, its halves (n,), and everybody on either half's direction (n, 2)."""
    for start in range(0, status.shape[1], PHECODES_AT_ONCE):
        block = status.iloc[:, start : start + PHECODES_AT_ONCE]
        values = block.to_numpy()
        halves = split_halves(values, order)
        projections = []
        for half in (0, 1):
            cases = (halves == half) & (values == 1)
            controls = (halves == half) & (values == 0)
            contrast = cases / np.maximum(cases.sum(axis=0), 1)
            contrast -= controls / np.maximum(controls.sum(axis=0), 1)
            projections.append(whitened @ (whitened.T @ contrast))
        for column, phecode in enumerate(block.columns):
            components = np.column_stack([projection[:, column] for projection in projections])
            yield phecode, halves[:, column], components


def _test_phecode(
    outcome: np.ndarray, half: np.ndarray, components: np.ndarray, covariates: np.ndarray
) -> dict:
    """Test each half on the other's direction, and combine the two."""
    designs, outcomes = [], []
    for tested, learnt in ((0, 1), (1, 0)):
        rows = half == tested
        component = components[rows, learnt]
        if np.ptp(component) == 0:
            return {"reason": "the component is the same for everybody in a half"}
        component = (component - component.mean()) / component.std()
        adjustment = _independent(covariates[rows])
        designs.append(np.column_stack([adjustment, component]))
        outcomes.append(outcome[rows] == 1)
    few = any(
        min(y.sum(), (~y).sum()) < RARER_PER_COEFFICIENT * x.shape[1]
        for x, y in zip(designs, outcomes, strict=True)
    )
    method = "firth" if few else "logistic"
    tests = _test_halves(designs, outcomes, firth=few)
    if method == "logistic" and not all(test.converged for test in tests):
        method = "firth"
        tests = _test_halves(designs, outcomes, firth=True)
    if not all(test.converged for test in tests):
        return {"reason": "the regression did not converge"}
    combined = combine_halves(*tests)
    return {
        "beta": combined["beta"],
        "standard_error": combined["standard_error"],
        "odds_ratio": np.exp(combined["beta"]),
        "low": np.exp(combined["low"]),
        "high": np.exp(combined["high"]),
        "neg_log10_p": -norm.logsf(combined["z"]) / np.log(10),
        "method": method,
    }


def _test_halves(designs, outcomes, firth: bool) -> list[LogisticTest]:
    return [
        coefficient_test(design, outcome, firth)
        for design, outcome in zip(designs, outcomes, strict=True)
    ]


def combine_halves(first: LogisticTest, second: LogisticTest) -> dict[str, float]:
    """Combine two tests whose errors are, without an association, all but the same.

    Parameters
    ----------
    first, second : LogisticTest

    Returns
    -------
    dict
        `beta`, the inverse-variance mean of the coefficients; `standard_error`, `low` and `high`
        (95 %, log odds) and `z`, as for a correlation of one, so that each is a mean of the
        halves' own. No correlation makes the error too small.
    """
    halves = first, second
    errors = np.array([half.standard_error for half in halves])
    weights = errors**-2.0 / np.sum(errors**-2.0)
    error = weights @ errors
    low, high = weights @ [half.interval(TWO_SIDED_95) for half in halves]
    return {
        "beta": weights @ [half.coefficient for half in halves],
        "standard_error": error,
        "low": low,
        "high": high,
        "z": (weights * errors / error) @ [half.z for half in halves],
    }


def _independent(covariates: np.ndarray) -> np.ndarray:
    """Standardise the covariates and leave out those that an intercept and the others explain.

    Among people of one sex, the covariate sex is constant; in a half, a rare ancestry may be.
    """
    spread = covariates.std(axis=0)
    varying = spread > 1e-10 * np.abs(covariates).max(axis=0, initial=0)
    scaled = (covariates - covariates.mean(axis=0))[:, varying] / spread[varying]
    design = np.column_stack([np.ones(len(covariates)), scaled])
    triangle = np.abs(np.diag(np.linalg.qr(design, mode="r")))
    return design[:, triangle > 1e-8 * np.sqrt(len(design))]


def run_phewas(
    embedding: Embedding,
    participants: Sequence[str],
    cohort: pd.DataFrame,
    covariate_columns: Sequence[str],
    diagnoses: str | os.PathLike,
    phecodes: str | os.PathLike,
    phecode_info: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    seed: int = 0,
    minimum_cases: int = MINIMUM_CASES,
    left_out: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Run a PheWAS from files to files.

    Writes phewas.tsv, unmapped_icd10.tsv (codes without a phecode, with their number of events) and
    phewas.json (counts, and who was left out and why) into `folder`.

    Parameters
    ----------
    embedding : Embedding
    participants : sequence of str
        Whom to analyse, all of them embedded; who lacks `sex` or a covariate is left out.
    cohort : DataFrame
        `sex` and the covariates, indexed by sample id.
    covariate_columns : sequence of str
    diagnoses, phecodes, phecode_info : path-like
        See `read_diagnoses` and `read_phecode_map`.
    folder : path-like
    seed, minimum_cases
        As in `phewas`.
    left_out : mapping of str to int, optional
        Who was left out before, by reason, for phewas.json.

    Returns
    -------
    DataFrame
        As `phewas` gives it.

    Raises
    ------
    InputError
        Inputs that cannot be read or do not fit together, or nobody is left.
    """
    folder = Path(folder)
    for column in ("sex", *covariate_columns):
        if column not in cohort:
            raise InputError(
                f"phewas: the cohort has no column '{column}' "
                f"(there are: {', '.join(cohort.columns)})"
            )
    phecode_map, events = read_phecode_map(phecodes, phecode_info), read_diagnoses(diagnoses)
    known = cohort.reindex(participants)
    chosen = known.index[known[["sex", *covariate_columns]].notna().all(axis=1)]
    if not len(chosen):
        raise InputError(f"phewas: none of {len(known)} participants has sex and all covariates")
    status = phecode_status(events, phecode_map, known.loc[chosen, "sex"])
    design, _ = design_matrix(known, covariate_columns, chosen)
    table = phewas(embedding.select(chosen), status, design, phecode_map.info, seed, minimum_cases)
    unmapped = unmapped_codes(events, phecode_map)
    write_table(table, folder / "phewas.tsv")
    write_table(unmapped.reset_index(), folder / "unmapped_icd10.tsv")
    counts = {
        "participants": len(chosen),
        "left_out": dict(left_out or {}),
        "missing_covariate_values": len(known) - len(chosen),
        "events": len(events),
        "events_unmapped": int(unmapped.sum()),
        "phecodes": len(table),
        "phecodes_tested": int((table["reason"] == "").sum()),
        "seed": seed,
        "minimum_cases": minimum_cases,
    }
    with atomic_path(folder / "phewas.json") as temporary:
        temporary.write_text(json.dumps(counts, indent=2) + "\n")
    return table
