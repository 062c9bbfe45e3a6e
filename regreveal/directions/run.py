"""Directions from files to files: found, decoded, checked, and compared with people."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.directions.direction import Direction, find_direction
from regreveal.directions.people import FEWEST, agreement, ends_of, mean_tensor
from regreveal.directions.variables import Variable
from regreveal.directions.walk import Walk, decode_walk, run_network
from regreveal.errors import InputError
from regreveal.genetics.kernel.whitening import orthonormal_columns
from regreveal.progress import track
from regreveal.store.atomic import atomic_path, write_json
from regreveal.store.cohort import design_matrix, write_table
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import StandardizeEach, TensorMap

STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)

SHA256_LENGTH = 64  # embeddings made otherwise name the method instead

# One row a direction.
COLUMNS = ["file", "kind", "name", "label", "unit", "n", "effect", "certainty", "neg_log10_p"]
COLUMNS += ["n_beyond", "distance", "people_distance", "cycle_slope", "cycle_correlation"]
COLUMNS += ["purity", "n_low", "score_low", "n_high", "score_high", "agreement", "size", "reason"]
COUNTS = ["n", "n_beyond", "n_low", "n_high"]
GROUP_COLUMNS = ["file", "value", "n", "score", "standard_error"]


@dataclass(frozen=True)
class Model:
    """A trained model, and where the tensors are that it takes.

    Parameters
    ----------
    folder : Path
        The model folder.
    store : TensorStore
    tensor_map : TensorMap
    """

    folder: Path
    store: TensorStore
    tensor_map: TensorMap


def run_directions(
    embedding: Embedding,
    participants: Sequence[str],
    variables: Sequence[Variable],
    covariates: Mapping[str, Sequence[str]],
    cohort: pd.DataFrame | None,
    model: Model,
    folder: str | os.PathLike,
    *,
    steps: Sequence[float] = STEPS,
    seed: int = 0,
) -> pd.DataFrame:
    """Decode along the directions of some variables, and write what came out and how good it is.

    Writes into `folder`:

    - directions.tsv, a row a variable; `reason` says why one was not decoded, and `file` is empty.
    - directions.json: shape, units and sampling rate of the tensors; the number of participants.
    - groups.tsv: for variables of few values, the people of each value and their mean score.
    - 01.npz, 02.npz …, as `file` names them. In the tensor's units: `walk` (steps, *shape), and
      `decoded` and `people`, (*shape), the change by a standard deviation of the score in what is
      decoded and in the mean of people at either end. Besides `steps`, and `mean`, `pattern` and
      `weights` of the direction (k,).

    Parameters
    ----------
    embedding : Embedding
        Latents as the encoder gives them: a transformed latent cannot be decoded.
    participants : sequence of str
        Whom to analyse, all of them embedded.
    variables : sequence of Variable
    covariates : mapping of str to sequence of str
        Columns of the cohort that are taken out, by the kind of the variable.
    cohort : DataFrame or None
        Indexed by sample id; not needed without covariates.
    model : Model
        Of the embedding.
    folder : path-like
    steps : sequence of float
        Scores to decode at, in standard deviations, increasing.
    seed : int
        Of who is read where very many people are at an end of a score.

    Returns
    -------
    DataFrame
        What directions.tsv holds.

    Raises
    ------
    InputError
        Inputs that cannot be read or do not fit together.
    """
    from regreveal.models.model_folder import load_model
    from regreveal.models.weights import weights_sha256

    folder = Path(folder)
    encoder, decoder = (load_model(model.folder, name) for name in ("encoder", "decoder"))
    if decoder.input_shape[1:] != embedding.latents.shape[1:]:
        raise InputError(
            f"{model.folder}: its decoder takes {decoder.input_shape[1]} latents and the embedding "
            f"has {embedding.latents.shape[1]}; give the model that the embedding was made by"
        )
    made_by = str(embedding.metadata.get("model", ""))
    if len(made_by) == SHA256_LENGTH and made_by != weights_sha256(encoder):
        raise InputError(
            f"{model.folder}: its encoder is another than the one that made the embedding; give "
            "the model that the embedding was made by"
        )
    rows, groups = [], []
    for number, variable in enumerate(track(variables, "Decoding directions"), start=1):
        row = dict.fromkeys(COLUMNS, np.nan) | {
            "file": "",
            "kind": variable.kind,
            "name": variable.name,
            "label": variable.label,
            "unit": variable.unit,
            "reason": "",
        }
        rows.append(row)
        known, design = _known(variable, participants, cohort, covariates.get(variable.kind, ()))
        values = variable.numbers.reindex(known).to_numpy(np.float64)
        taken = embedding.latents.shape[1] + (0 if design is None else design.shape[1])
        row["n"], row["reason"] = len(known), _unfit(values, taken)
        if row["reason"]:
            continue
        row["file"] = f"{number:02d}.npz"
        direction = find_direction(embedding.select(known), values, design, variable.name)
        walk = decode_walk(direction, steps, encoder, decoder)
        row |= _figures(direction, walk, embedding.select(known))
        rng = np.random.default_rng(seed)
        compared, arrays = _compare(direction, known, decoder, model, rng)
        row |= compared
        with atomic_path(folder / row["file"]) as temporary:
            np.savez_compressed(
                temporary,
                steps=walk.steps,
                walk=model.tensor_map.normalize.inverse(walk.tensors),
                mean=direction.mean,
                pattern=direction.pattern,
                weights=direction.weights,
                **arrays,
            )
        groups += [{"file": row["file"], **group} for group in _groups(values, direction.scores)]
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COUNTS, "Int64"))
    write_table(table, folder / "directions.tsv")
    write_table(pd.DataFrame(groups, columns=GROUP_COLUMNS), folder / "groups.tsv")
    write_json(_facts(model, len(participants)), folder / "directions.json")
    return table


def _facts(model: Model, participants: int) -> dict:
    """Say what the tensors are."""
    tensor_map = model.tensor_map
    each = isinstance(tensor_map.normalize, StandardizeEach)
    return {
        "participants": participants,
        "tensor_map": tensor_map.name,
        "shape": tensor_map.channelled_shape,
        # Of images that are standardised one by one nobody knows what the grey values were.
        "units": "SD of the image" if each else tensor_map.units,
        "sampling_rate": model.store.attributes(tensor_map.path).get("sampling_rate"),
    }


def _known(
    variable: Variable,
    participants: Sequence[str],
    cohort: pd.DataFrame | None,
    columns: Sequence[str],
) -> tuple[list[str], np.ndarray | None]:
    """Find who has a value and every covariate, and the covariates as numbers."""
    values = variable.numbers.reindex(list(participants))
    known = values.index[values.notna()]
    if not columns:
        return known.tolist(), None
    if cohort is None:
        raise InputError(f"directions: covariate '{columns[0]}' is asked for; give its table")
    absent = [column for column in columns if column not in cohort]
    if absent:
        raise InputError(
            f"directions: the table of covariates has no column '{absent[0]}' "
            f"(there are: {', '.join(map(str, cohort))})"
        )
    complete = cohort.reindex(list(participants))[list(columns)].dropna().index
    design, _ = design_matrix(cohort, columns, complete)
    chosen = complete.isin(known)
    if not chosen.any():
        return [], None
    # Among people of one sex, as for some diseases, the covariate sex is constant.
    _, independent = orthonormal_columns(design[chosen])
    return complete[chosen].tolist(), design[chosen][:, independent]


def _unfit(values: np.ndarray, taken: int) -> str:
    """Say why a direction cannot be shown; those of a handful of people would show these.

    `taken` are the latents and covariates that it is fitted with.
    """
    needed = max(2 * FEWEST, taken + 2)
    if len(values) < needed:
        return f"fewer than {needed} participants have a value"
    _, counts = np.unique(values, return_counts=True)
    if len(values) - counts.max() < FEWEST:
        return f"fewer than {FEWEST} participants differ from the others"
    return ""


def _figures(direction: Direction, walk: Walk, latents: np.ndarray) -> dict:
    """Say how far the walk goes, beside people, and whether its scores come back."""
    ends = direction.walk(walk.steps[[0, -1]])
    farthest = np.abs(walk.steps).max()
    return {
        "effect": direction.effect,
        "certainty": direction.certainty,
        "neg_log10_p": direction.neg_log10_p,
        "n_beyond": int((np.abs(direction.scores) > farthest).sum()),
        "distance": direction.distances(ends).max(),
        "people_distance": np.median(direction.distances(latents)),
        "cycle_slope": walk.cycle_slope,
        "cycle_correlation": walk.cycle_correlation,
        "purity": walk.purity,
    }


def _compare(
    direction: Direction,
    sample_ids: list[str],
    decoder,
    model: Model,
    rng: np.random.Generator,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Compare what is decoded with the people at either end, between the same scores."""
    ends = ends_of(direction.scores, rng)
    between = ends.high_score - ends.low_score
    low, high = (
        mean_tensor(model.store, model.tensor_map, [sample_ids[row] for row in rows])
        for rows in (ends.low, ends.high)
    )
    scores = np.array([ends.low_score, ends.high_score])
    decoded_low, decoded_high = run_network(decoder, direction.walk(scores))
    units = model.tensor_map.normalize.inverse
    maps = {
        "decoded": (units(decoded_high) - units(decoded_low)) / between,
        "people": (units(high) - units(low)) / between,
    }
    correlation, size = agreement(maps["decoded"], maps["people"])
    return {
        "n_low": len(ends.low),
        "score_low": ends.low_score,
        "n_high": len(ends.high),
        "score_high": ends.high_score,
        "agreement": correlation,
        "size": size,
    }, maps


def _groups(values: np.ndarray, scores: np.ndarray) -> list[dict]:
    """Mean scores of the people of each value, where there are no more than three."""
    distinct = np.unique(values)
    if len(distinct) > 3:
        return []
    groups = []
    for value in distinct:
        of_group = scores[values == value]
        enough = len(of_group) >= FEWEST
        groups.append(
            {
                "value": value,
                "n": len(of_group),
                "score": of_group.mean() if enough else np.nan,
                "standard_error": of_group.std(ddof=1) / np.sqrt(len(of_group))
                if enough
                else np.nan,
            }
        )
    return groups
