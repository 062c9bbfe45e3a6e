"""DeepCycle: a network learns what moment of its cycle each frame of a cine shows."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.progress import track
from regreveal.registration.base import Registered, Registration, quality_table
from regreveal.registration.cycle_phase import (
    deviations_of,
    phase_locking,
    steps_of,
    usable_cines,
    winding_number,
)
from regreveal.registration.familiarity import Familiarity, coarse_picture, learn, least_likeness
from regreveal.registration.images import correlation, spread, unusable_reason
from regreveal.tensormap import StandardizeEach, TensorMap

UNLIKE = "unlike what was learned from"
NOT_ROUND = "phases do not go around the cycle once"
LIKENESS_SAMPLES, SMALLEST_DEVIATION = 400, 0.1
CINES_AT_ONCE = 16
HISTORY = ("epoch", "steps", "seconds", "loss", "validation_loss", "learning_rate")


@dataclass
class PhaseQuality:
    """Quality figures of one cine: the columns of `qc` after `ok`, in this order.

    Those that are about phases are NaN for the control, which has none.

    Attributes
    ----------
    reason : str
        Why it has no phases; empty where it has.
    phase_locking : float
        R = |mean over frames of exp(i(phase - time))|, with the frames' times evenly around the
        circle: how evenly the cycle advances, 1 where at one speed (Mardia and Jupp 2000,
        Directional Statistics, eq. 2.3.3).
    winding_number : float
        How often the phases go around, from the first frame to the first.
    backwards : float
        Share of the steps between frames, that from the last to the first included, that go back.
    reconstruction : float
        Correlation of the frames' deviations from the cine's mean frame with what the network
        decodes from phases and mean frame.
    unexplained : float
        Share of the cine, seen coarsely, that components of those learned from leave (see
        `regreveal.registration.familiarity`).
    """

    reason: str = ""
    phase_locking: float = np.nan
    winding_number: float = np.nan
    backwards: float = np.nan
    reconstruction: float = np.nan
    unexplained: float = np.nan


class DeepCycle(Registration):
    """The phase of every frame of a cine, by a network that `fit` trains without labels.

    Takes cines of one cycle, (n, rows, columns, frames), with the frames in order and evenly
    spread over it. Each frame's encoder ends in one angle, and all that a decoder knows of the
    moment is its cosine and sine; what it decodes is the frame's deviation from the cine's own
    mean frame, which it is given. Cines are standardised within, each by itself, so that their
    grey values may be of any scale and zero.

    Parameters
    ----------
    circular : bool
        Without it the network ends in one plain number in place of the angle: the control, which
        shows what the circle is good for. It is trained as long, from the first principal
        component, and has no penalties of time.
    time_weight : float
        Of the penalties that keep the circle from folding; see
        `regreveal.models.cycle.JointTraining`.
    steps, batch_size : int
        How many batches to train on, after a fifth as many for the warm-up, of how many cines.
    learning_rate : float
        The largest, of Adam.
    seed : int
        Of the initial weights, and of the order and the choice of samples.
    steps_per_epoch : int
        Steps between two looks at the samples held out, by which the best is chosen.
    plan : mapping, optional
        Arguments of a `TrainingPlan` that are not to be as by default, such as
        {"precision": "mixed_bfloat16"}.

    Notes
    -----
    Training starts from PCA-atan2 (`regreveal.registration.cycle_phase.principal_phase`): in the
    warm-up the encoder learns to give its phases and the decoder to decode them; then both are
    trained together. At last the angles are mapped so that the mean of the samples learned from
    advances evenly from 0: a phase is the time at which the typical heart looks like this frame.
    Phases of a sample are not even: systole takes another share of fast hearts than of slow ones,
    and frames in which nothing moves cannot be told apart.

    The phases that `transform` gives are unwrapped along frames: the first lies in [-pi, pi], and
    no step exceeds half a turn. `transforms` holds what the tensors do.

    Blank and still cines, and those that are not finite, may be among those learned from; nothing
    is learned from them.

    A sample is not ok if it is blank, not finite, its phases do not go around once, or what is
    decoded is unlike it: a correlation six robust standard deviations (of Fisher's z) below the
    median of samples learned from, or below 0.2; or the cine itself is unlike those learned from,
    of which there must be 20 to tell (`regreveal.registration.familiarity`). The
    winding number does not tell a cine played backwards, or forwards and then backwards: a
    contraction played backwards looks like a relaxation. Only what is decoded does, where the two
    differ enough.

    References
    ----------
    Friedman et al. (2024), "Genetic Architectures of Medical Images Revealed by Registration of
    Multiple Modalities".
    """

    uses_all_cores = True
    gives_latents = True
    output_units = "radians"

    def __init__(
        self,
        circular: bool = True,
        time_weight: float = 0.3,
        steps: int = 1000,
        batch_size: int = 16,
        learning_rate: float = 3e-3,
        seed: int = 1,
        steps_per_epoch: int = 50,
        plan: Mapping[str, object] | None = None,
    ):
        self.circular = circular
        self.time_weight = time_weight
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.steps_per_epoch = steps_per_epoch
        self.plan = plan

    def fit(self, x, checkpoint: str | os.PathLike | None = None, validation=None):
        """Train the network.

        Parameters
        ----------
        x : array-like, shape (n, rows, columns, frames)
            One cine or many; anything that has a shape and gives rows when indexed by a slice or
            by sorted row numbers. Those that do not fit into memory are read when needed.
        checkpoint : path-like, optional
            Folder for the state of the training, written after each epoch: a training that was
            killed goes on from there, to the result it would have had.
        validation : array-like, shape (m, rows, columns, frames), optional
            To choose the best epoch by. By default a tenth of `x` is held out; of a single cine
            nothing can be.

        Returns
        -------
        DeepCycle
            This one.

        Raises
        ------
        InputError
            If a parameter or the shape is out of range, no sample is usable, the checkpoint is of
            another training, or the loss is not finite.
        """
        # Keras is loaded by those who train or register, not by those who look up the class.
        from regreveal.models.devices import computing
        from regreveal.registration.deepcycle_training import learned_and_held_out, train_cycle

        shape = tuple(int(size) for size in x.shape[1:])
        if len(shape) != 3 or min(shape[:2]) < 4 or shape[2] < 4:
            raise InputError(
                f"deepcycle: an array of shape {tuple(x.shape)}; expected (n, rows, columns, "
                "frames) with at least 4 of each"
            )
        parameters = self._checked_parameters() | {"samples": [len(x), *shape]}
        with computing(parameters["precision"]):
            networks = self._build(shape)
        learned, held_out = learned_and_held_out(x, validation, self.seed)
        checkpoint = None if checkpoint is None else Path(checkpoint)
        history = train_cycle(networks, learned, held_out, parameters, checkpoint)
        self.shape_ = np.array(shape)
        self.weights_ = networks.get_weights()
        if parameters["precision"] != "float32":
            networks = self._fitted_networks()  # those trained compute in half precision
        self.history_ = np.array([[row[name] for name in HISTORY] for row in history], np.float64)
        self.least_likeness_ = self._least_likeness(learned, networks)
        return self

    def transform(self, x) -> Registered:
        """Give the phases of cines.

        Parameters
        ----------
        x : ndarray, shape (n, rows, columns, frames)

        Returns
        -------
        Registered
            `tensors` (n, frames), float32, in radians; `qc` has `ok` and the columns of
            `PhaseQuality`.

        Raises
        ------
        InputError
            If this registration is not fitted, or the shape is not that of the samples it was.
        """
        networks = self._fitted_networks()
        if tuple(x.shape[1:]) != tuple(self.shape_):
            raise InputError(
                f"deepcycle: cines of shape {tuple(x.shape[1:])}; learned from "
                f"{tuple(self.shape_.tolist())}"
            )
        familiarity = Familiarity(
            self.familiar_mean_, self.familiar_components_, float(self.most_unexplained_)
        )
        phases = np.full((len(x), int(self.shape_[2])), np.nan, np.float32)
        qualities = []
        starts = track(range(0, len(x), CINES_AT_ONCE), "Finding phases")
        for start in starts:
            measured = self._measure(
                np.asarray(x[start : start + CINES_AT_ONCE]), networks, familiarity
            )
            for quality, found in measured:
                if not quality.reason:
                    quality.reason = self._doubt(quality, familiarity)
                if not quality.reason:
                    phases[len(qualities)] = found
                qualities.append(quality)
        return Registered(phases, quality_table(qualities, PhaseQuality), list(phases.copy()))

    def save_model(
        self, folder: str | os.PathLike, tensor_map: TensorMap, trained_on, validated_on
    ) -> None:
        """Write the networks as a model folder, for all that work with trained autoencoders.

        The encoder gives the phases of cines. The decoder gives, for phases, the cine of the
        typical heart, in standard deviations of its grey values: one angle a frame says nothing of
        the person, so all people's reconstructions are of one heart, at their own pace.

        Parameters
        ----------
        folder : path-like
        tensor_map : TensorMap
            Of the cines.
        trained_on, validated_on : sequence of str
            Their sample ids.

        Raises
        ------
        InputError
            If this registration is not fitted, or the tensor map is of another shape or does not
            standardise each cine.
        """
        from regreveal.models.model_folder import write_model
        from regreveal.models.state import TrainingState

        networks = self._fitted_networks()
        if tensor_map.channelled_shape != tuple(self.shape_):
            raise InputError(
                f"deepcycle: learned from cines of shape {tuple(self.shape_.tolist())}; "
                f"{tensor_map.name} has {tensor_map.channelled_shape}"
            )
        if not isinstance(tensor_map.normalize, StandardizeEach):
            raise InputError(
                f"{tensor_map.name}: is not normalised by StandardizeEach, in whose units "
                "DeepCycle's decoder answers; declare it so"
            )
        parameters = {
            "tensor_map": dataclasses.asdict(tensor_map),
            "latent_size": int(self.shape_[2]),
            **self._checked_parameters(),
            "trained_on": [str(sample_id) for sample_id in trained_on],
            "validated_on": [str(sample_id) for sample_id in validated_on],
        }
        state = TrainingState(parameters, 1.0, 1.0, history=self.joint_history().to_dict("records"))
        write_model(
            networks.as_autoencoder,
            state,
            Path(folder),
            registration="DeepCycle",
            explained_variance=float(np.square(self.typical_likeness_)),
        )

    def joint_history(self) -> pd.DataFrame:
        """History of the joint training, one row an epoch."""
        history = pd.DataFrame(self.history_, columns=HISTORY)
        history[["epoch", "steps"]] = history[["epoch", "steps"]].astype(int)
        # Epochs are counted anew after the warm-up.
        start = np.flatnonzero(history["epoch"].to_numpy() == 1)[-1]
        return history.iloc[start:].reset_index(drop=True)

    def _build(self, shape: tuple[int, ...]):
        from regreveal.models.cycle import build_cycle

        return build_cycle(
            shape, circular=self.circular, time_weight=self.time_weight, seed=self.seed
        )

    def _fitted_networks(self):
        if not hasattr(self, "weights_"):
            raise InputError("deepcycle: not fitted; call fit first, or load a fitted one")
        networks = self._build(tuple(self.shape_))
        networks.set_weights(self.weights_)
        return networks

    def _measure(
        self, cines: np.ndarray, networks, familiarity: Familiarity
    ) -> list[tuple[PhaseQuality, np.ndarray]]:
        """Quality and latents of some cines, whatever is to be thought of them."""
        from regreveal.models.cycle import even_times
        from regreveal.models.embedding import predict

        usable = usable_cines(cines)
        found = predict(networks.joint, usable, CINES_AT_ONCE)
        deviations = np.moveaxis(deviations_of(usable), -1, 1)
        times = even_times(int(self.shape_[2]))
        measured = []
        for number, cine in enumerate(cines):
            latents, quality = found["phases"][number], PhaseQuality(unusable_reason(cine))
            measured.append((quality, latents))
            if quality.reason:
                continue
            quality.reconstruction = correlation(deviations[number], found["decoded"][number])
            quality.unexplained = familiarity.unexplained(coarse_picture(usable[number]))
            if self.circular:
                quality.phase_locking = float(phase_locking(latents, times))
                quality.winding_number = float(winding_number(latents))
                quality.backwards = float((steps_of(latents) < 0).mean())
        return measured

    def _doubt(self, quality: PhaseQuality, familiarity: Familiarity) -> str:
        """Say why phases that were found are not to be trusted; empty where nothing is wrong."""
        likely = quality.reconstruction >= self.least_likeness_
        if not likely or quality.unexplained > familiarity.most_unexplained:
            return UNLIKE
        return NOT_ROUND if self.circular and quality.winding_number != 1 else ""

    def _least_likeness(self, learned, networks) -> float:
        """Bound below which a cine is unlike those learned from."""
        places = spread(len(learned), LIKENESS_SAMPLES)
        parts = [
            places[start : start + CINES_AT_ONCE] for start in range(0, len(places), CINES_AT_ONCE)
        ]
        pictures = [coarse_picture(cine) for part in parts for cine in learned[part] if cine.any()]
        familiarity = learn(np.stack(pictures))
        self.familiar_mean_ = familiarity.mean
        self.familiar_components_ = familiarity.components
        self.most_unexplained_ = familiarity.most_unexplained
        measured = [self._measure(learned[part], networks, familiarity) for part in parts]
        likeness = np.array([quality.reconstruction for part in measured for quality, _ in part])
        likeness = likeness[np.isfinite(likeness)]
        self.typical_likeness_ = float(np.median(likeness))
        return least_likeness(likeness, SMALLEST_DEVIATION)

    def _checked_parameters(self) -> dict:
        from regreveal.models.loop import check_parameters
        from regreveal.models.plan import TrainingPlan

        if not isinstance(self.circular, (bool, np.bool_)):
            raise InputError(f"deepcycle: circular is {self.circular!r}; expected true or false")
        if not 0 <= self.time_weight < np.inf:
            raise InputError(f"deepcycle: time_weight is {self.time_weight}; expected 0 or more")
        names = ("steps", "steps_per_epoch", "batch_size", "learning_rate")
        parameters = {name: getattr(self, name) for name in (*names, "seed", "time_weight")}
        parameters |= dataclasses.asdict(TrainingPlan.checked(self.plan, "deepcycle"))
        return check_parameters(parameters | {"circular": bool(self.circular)}, names)
