"""A PheWAS from files to files."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.hospital_records import read_diagnoses
from regreveal.phenome.phecode_map import read_phecode_map
from regreveal.phenome.phecodes import phecode_records, phecode_status
from regreveal.phenome.phewas import MINIMUM_CASES, phewas
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import design_matrix, write_table
from regreveal.store.embedding import Embedding


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

    Writes phewas.tsv, unmapped_icd.tsv (codes without a phecode, with their number of events) and
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
    phecode_map = read_phecode_map(phecodes, phecode_info)
    records = phecode_records(read_diagnoses(diagnoses), phecode_map)
    known = cohort.reindex(participants)
    chosen = known.index[known[["sex", *covariate_columns]].notna().all(axis=1)]
    if not len(chosen):
        raise InputError(f"phewas: none of {len(known)} participants has sex and all covariates")
    status = phecode_status(records, known.loc[chosen, "sex"]).status
    design, _ = design_matrix(known, covariate_columns, chosen)
    table = phewas(embedding.select(chosen), status, design, phecode_map.info, seed, minimum_cases)
    write_table(table, folder / "phewas.tsv")
    write_table(records.unmapped, folder / "unmapped_icd.tsv")
    counts = {
        "participants": len(chosen),
        "left_out": dict(left_out or {}),
        "missing_covariate_values": len(known) - len(chosen),
        "events": records.counts["diagnoses"],
        "events_unmapped": records.counts["unmapped"],
        "phecodes": len(table),
        "phecodes_tested": int((table["reason"] == "").sum()),
        "seed": seed,
        "minimum_cases": minimum_cases,
    }
    with atomic_path(folder / "phewas.json") as temporary:
        temporary.write_text(json.dumps(counts, indent=2) + "\n")
    return table
