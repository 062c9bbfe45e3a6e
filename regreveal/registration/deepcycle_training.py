"""Training of DeepCycle: warm-up from PCA-atan2, then encoder and decoder together."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from regreveal.errors import InputError
from regreveal.models.cycle import CycleNetworks, knot_angles
from regreveal.models.fitting import Batches, fit_network, unfinished_training
from regreveal.models.loop import rows_of_step
from regreveal.models.plan import TrainingPlan
from regreveal.models.state import TrainingState
from regreveal.registration.cycle_phase import (
    MeanCourse,
    PrincipalPhase,
    principal_phase,
    usable_cines,
)
from regreveal.registration.images import held_out_rows, spread

WARMUP_SHARE = 0.2  # of the steps
CACHE_BYTES = 512 * 2**20
# Cines that the start and the calibration are learned from: what they average varies little.
AVERAGED_CINES, AVERAGED_BYTES = 400, 2**27


class Cines:
    """Cines of an array-like, as `usable_cines` gives them; kept in memory if they fit.

    Parameters
    ----------
    x : array-like, shape (n, rows, columns, frames)
    rows : ndarray of int
        Those that count.
    """

    def __init__(self, x, rows: np.ndarray):
        self._x, self._rows = x, np.sort(rows)
        self._kept = None
        if 4 * len(rows) * int(np.prod(x.shape[1:])) <= CACHE_BYTES:
            self._kept = self._read(np.arange(len(rows)))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Cines of float32 at places, which may be in any order and repeated."""
        return self._read(places) if self._kept is None else self._kept[places]

    def moving(self) -> np.ndarray:
        """Take some cines, evenly from all, as many as averages are taken of; leave still ones out.

        What does not move has no phase, and its angle would count in the mean.
        """
        most = max(1, AVERAGED_BYTES // (4 * int(np.prod(self._x.shape[1:]))))
        cines = self[spread(len(self), min(most, AVERAGED_CINES))]
        return cines[_moves(cines)]

    def _read(self, places: np.ndarray) -> np.ndarray:
        distinct, back = np.unique(places, return_inverse=True)
        return usable_cines(np.asarray(self._x[self._rows[distinct]]))[back]


def learned_and_held_out(x, validation, seed: int) -> tuple[Cines, Cines]:
    """Divide what is learned from from what the best epoch is chosen by.

    Raises
    ------
    InputError
        If there is nothing to learn from or to choose by, or the shapes differ.
    """
    if len(x) < 1:
        raise InputError("deepcycle: no cine to learn from; expected at least one")
    everyone = np.arange(len(x))
    if validation is not None:
        if len(validation) < 1:
            raise InputError("deepcycle: no validation cine; expected one at least, or None")
        if tuple(validation.shape[1:]) != tuple(x.shape[1:]):
            raise InputError(
                f"deepcycle: validation cines of shape {tuple(validation.shape[1:])}; those "
                f"learned from have {tuple(x.shape[1:])}"
            )
        return Cines(x, everyone), Cines(validation, np.arange(len(validation)))
    if len(x) == 1:
        return Cines(x, everyone), Cines(x, everyone)
    learned, held_out = held_out_rows(len(x), seed)
    return Cines(x, learned), Cines(x, held_out)


def train_cycle(
    networks: CycleNetworks,
    learned: Cines,
    held_out: Cines,
    parameters: dict,
    checkpoint: Path | None,
) -> list[dict]:
    """Train networks, calibrate their phases, and leave them with the best weights.

    Parameters
    ----------
    networks : CycleNetworks
        Changed in place.
    learned, held_out : Cines
    parameters : dict
        `steps`, `steps_per_epoch`, `batch_size`, `learning_rate`, `seed`, `circular`, and what
        else says what is trained.
    checkpoint : Path, optional
        Folder where the states of both trainings are kept; a killed one goes on from there.

    Returns
    -------
    list of dict
        Rows of the history: those of the warm-up, then those of the joint training.

    Raises
    ------
    InputError
        If no cine moves, the checkpoint is of another training, or the loss is not finite.
    """
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as folder:
            return train_cycle(networks, learned, held_out, parameters, Path(folder))
    averaged = learned.moving()
    if not len(averaged):
        raise InputError("deepcycle: none of the cines moves (blank, still or not finite)")
    # A training that goes on must have been one on the same cines.
    parameters = parameters | {"cines": hashlib.sha256(averaged.tobytes()).hexdigest()}
    start = principal_phase(averaged)
    circular, steps = parameters["circular"], parameters["steps"]
    # What there is memory for.
    part = max(1, parameters["batch_size"] // parameters["accumulation"])

    def warmup_batch(cines: np.ndarray) -> tuple:
        coordinates = start_coordinates(start, cines, circular)
        return {"tensor": cines, "start": coordinates}, np.zeros(len(cines), np.float32)

    def joint_batch(cines: np.ndarray) -> tuple:
        return cines, np.zeros(len(cines), np.float32)

    history = []
    stages = (
        ("warmup", networks.warmup, warmup_batch, max(1, round(WARMUP_SHARE * steps))),
        ("joint", networks.joint, joint_batch, steps),
    )
    for name, model, batch, stage_steps in stages:
        folder = checkpoint / name
        stage_parameters = {**parameters, "steps": stage_steps}
        unfinished = unfinished_training(folder, stage_parameters)
        # Losses are relative to the deviations' mean square already, which is 1.
        state = unfinished[0] if unfinished else TrainingState(stage_parameters, 1.0, 1.0)
        fit_network(
            model,
            _learned_batches(learned, batch, stage_parameters),
            _everyone_once(held_out, batch, part),
            state,
            folder,
            resume_from=unfinished[1] if unfinished else None,
            description=f"Training DeepCycle ({name})",
        )
        history += state.history
    if circular:
        calibrate(networks, averaged)
    _average_heart(networks, averaged)
    return history


def start_coordinates(start: PrincipalPhase, cines: np.ndarray, circular: bool) -> np.ndarray:
    """Cosine and sine of PCA-atan2; for the control the first component: (n, frames, 2 or 1)."""
    if not circular:
        return start.scores(cines)[..., :1].astype(np.float32)
    phases = start.phases(cines)
    return np.stack([np.cos(phases), np.sin(phases)], axis=-1).astype(np.float32)


def calibrate(networks: CycleNetworks, cines: np.ndarray) -> None:
    """Map the network's angles so that the mean of these cines advances evenly from 0."""
    coordinates = networks.joint.predict(cines, batch_size=16, verbose=0)["coordinates"]
    course = MeanCourse.of(np.arctan2(coordinates[..., 1], coordinates[..., 0]))
    knots = knot_angles()
    phases = course(knots[:-1])
    values = np.unwrap(np.append(phases, phases[0]))
    # Interpolation needs a rising course and its inverse a turn on both sides.
    rising, at = (values, knots) if course.direction > 0 else (values[::-1], knots[::-1])
    around = np.concatenate([rising[:-1] - 2 * np.pi, rising, rising[1:] + 2 * np.pi])
    shift = 2 * np.pi * course.direction
    places = np.concatenate([at[:-1] - shift, at, at[1:] + shift])
    lowest = around[0] + np.pi
    wanted = lowest + (knots - lowest) % (2 * np.pi)
    inverse = np.unwrap(np.interp(wanted[:-1], around, places))
    inverse = np.append(inverse, inverse[0] + shift)
    networks.encoder.get_layer("calibration").values.assign(values)
    networks.decoder.get_layer("inverse_calibration").values.assign(inverse)


def _average_heart(networks: CycleNetworks, cines: np.ndarray) -> None:
    """Tell the decoder the mean frame and pictures of these cines, in SDs of each one's values."""
    centred = cines - cines.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    deviation = centred.std(axis=(1, 2, 3), keepdims=True)
    standardised = (centred / deviation).astype(np.float32)
    mean = standardised.mean(axis=-1, keepdims=True)
    size = np.sqrt(np.square(standardised - mean).mean(axis=(1, 2, 3), keepdims=True))
    still = mean - mean.mean(axis=(1, 2, 3), keepdims=True)
    still /= np.sqrt(np.square(still).mean(axis=(1, 2, 3), keepdims=True) + 1e-9)
    pictures = networks.loop.predict(still, batch_size=64, verbose=0)
    heart = networks.decoder.get_layer("typical_heart")
    heart.mean.assign(mean.mean(axis=0)[..., 0])
    heart.pictures.assign((pictures * size).mean(axis=0))


def _moves(cines: np.ndarray) -> np.ndarray:
    """Say which cines move, bool (n,)."""
    return (cines.max(axis=-1) > cines.min(axis=-1)).any(axis=(1, 2))


def _all_moving(cines: np.ndarray) -> np.ndarray:
    """Put cines of a batch that move in the place of those that do not, if there are any."""
    moving = np.flatnonzero(_moves(cines))
    return cines[np.resize(moving, len(cines))] if len(moving) else cines


def _learned_batches(learned: Cines, batch, parameters: dict):
    size, seed = min(parameters["batch_size"], len(learned)), parameters["seed"]
    TrainingPlan.of(parameters).check_batch(size)

    def learned_batch(step: int) -> tuple:
        return batch(_all_moving(learned[rows_of_step(len(learned), size, seed, step)]))

    return learned_batch


def _everyone_once(cines: Cines, batch, batch_size: int) -> Batches:
    def held_out_batch(start: int) -> tuple:
        return batch(_all_moving(cines[np.arange(start, min(start + batch_size, len(cines)))]))

    return Batches(range(0, len(cines), batch_size), held_out_batch)
