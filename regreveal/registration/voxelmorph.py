"""VoxelMorph: a network learns to deform every sample onto one reference."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.progress import track
from regreveal.registration import deformation
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.base import Registered, Registration, quality_table
from regreveal.registration.familiarity import (
    LEAST_LIKENESS,
    Familiarity,
    coarse_picture,
    learn,
    least_likeness,
)
from regreveal.registration.images import correlation, spread, unusable_reason
from regreveal.registration.voxelmorph_images import Padding, standardise

INTEGRATION_STEPS = 7
REFERENCE_CANDIDATES = 200
UNLIKE = "unlike the reference after registration"
FOLDED = "a deformation that folds"
UNFAMILIAR = "unlike the samples learned from"
NONE_USABLE = "voxelmorph: none of the samples is usable (blank or not finite)"
# Diffeomorphic fields fold in far less than one voxel in a thousand; where as many as these do,
# the network was given something it has not learned from.
MOST_FOLDS_PERCENT = 1.0
# Below the samples learned from by so many robust SDs (of Fisher's z), or below any likeness.
LIKENESS_SAMPLES, SMALLEST_DEVIATION = 50, 0.03
FAMILIARITY_SAMPLES = 1000


@dataclass
class DeformationQuality:
    """Quality figures of one sample: the columns of `qc` after `ok`, in this order.

    Attributes
    ----------
    reason : str
        Why it could not be registered; empty where it could.
    similarity_before, similarity_after : float
        Correlation of the standardised sample with the reference, over all voxels and channels.
    folds_percent : float
        Share of voxels where the deformation folds (Jacobian determinant not positive).
    sd_log_jacobian : float
        SD of the logarithm of the determinant: how unevenly it stretches.
    largest_displacement : float
        In voxels.
    unexplained : float
        Share of the sample as given, seen coarsely, that the samples learned from do not explain;
        see `familiarity`.
    """

    reason: str = ""
    similarity_before: float = np.nan
    similarity_after: float = np.nan
    folds_percent: float = np.nan
    sd_log_jacobian: float = np.nan
    largest_displacement: float = np.nan
    unexplained: float = np.nan


class VoxelMorph(Registration):
    """Deformable registration to a reference by a network that `fit` trains, without labels.

    Takes planes and volumes, (n, rows, columns, 1) and (n, x, y, z, 1). Channels are registered
    each on its own, to the reference's channel of the same index, by one network: the frames of a
    cine, (n, rows, columns, frames), to the same frames of the reference. Samples should already
    be where the reference is but for their shape: align them by `Homography` or `Affine` first.

    Values are standardised within (1st percentile to 0, 99.5th to 1, per sample); sizes that the
    network cannot halve are padded within, and cropped again. What comes out are the values as
    given, moved by linear interpolation.

    Parameters
    ----------
    reference : ndarray, shape (*shape, channels), optional
        Exemplar or atlas that samples are brought to; by default the sample most like the mean of
        up to 200 of them.
    similarity : {"ncc", "mse"}
        What is made large: the squared local correlation in windows of 9 voxels; or small: the
        mean squared difference, relative to a tenth of the range of values.
    smoothness : float
        Weight of the mean squared slope of the predicted field.
    diffeomorphic : bool
        Predict a velocity at half the resolution and integrate it by scaling and squaring (seven
        steps), so that the deformation does not fold; if not, predict the displacement.
    features : sequence of int
        Of the U-net's encoder, one for each level; sizes are halved so many times.
    steps, batch_size : int
        How many batches to train on, of how many images.
    learning_rate : float
        The largest, of Adam.
    seed : int
        Of the initial weights, and of the order and the choice of samples.
    steps_per_epoch : int
        Steps between two looks at the samples held out, a tenth, by which the best is chosen.
    refine_steps : int
        Steps by which `transform` improves each sample's own field, from the network's, by the
        gradient of the same loss. 0, the default, leaves the network's. See Notes for its cost.

    Notes
    -----
    `transforms` holds, per sample, the displacement field in voxels as float32, (*shape,
    dimensions), with several channels (*shape, channels, dimensions): the value at x is taken from
    x plus the displacement.

    A sample is not ok if its similarity after registration is below that of the samples learned
    from: six robust standard deviations (of Fisher's z) below their median, or below 0.2; or if
    its deformation folds in more than 1 % of the voxels.

    Refinement is for networks trained little, and where there is time for each sample: a step
    takes some three times as long as the network alone (a volume of 80 x 96 x 112: 0.6 s on one
    core, so 24 s for 40 steps instead of 0.2). `fit` refines up to 50 samples for the bound on
    the similarity. The training does not depend on it: `refine_steps` of a fitted one can be
    set, and the bound remains that of `fit`.

    References
    ----------
    Balakrishnan et al. (2019), IEEE Trans. Med. Imaging 38:1788; Dalca et al. (2019), Med. Image
    Anal. 57:226.
    """

    uses_all_cores = True

    def __init__(
        self,
        reference: np.ndarray | None = None,
        similarity: str = "ncc",
        smoothness: float = 0.5,
        diffeomorphic: bool = True,
        features: Sequence[int] = (16, 32, 32, 32),
        steps: int = 2000,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
        seed: int = 1,
        steps_per_epoch: int = 100,
        refine_steps: int = 0,
    ):
        self.reference = reference
        self.similarity = similarity
        self.smoothness = smoothness
        self.diffeomorphic = diffeomorphic
        self.features = features
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.steps_per_epoch = steps_per_epoch
        self.refine_steps = refine_steps

    def fit(self, x, checkpoint: str | os.PathLike | None = None):
        """Train the network.

        Parameters
        ----------
        x : array-like, shape (n, *shape, channels)
            At least two samples; anything that has a shape and gives rows when indexed by a slice
            or by sorted row numbers. Those that do not fit into memory are read when needed.
        checkpoint : path-like, optional
            Folder for the state of the training, written after each epoch: a training that was
            killed goes on from there, to the result it would have had.

        Returns
        -------
        VoxelMorph
            This one.

        Raises
        ------
        InputError
            If a parameter or the shape is out of range, no sample is usable, the checkpoint is of
            another training, or the loss is not finite.
        """
        # TensorFlow is loaded by those who train or register, not by those who look up the class.
        from regreveal.registration.voxelmorph_training import train_to_reference

        parameters = self._checked_parameters()
        shape = tuple(x.shape[1:])
        if len(shape) not in (3, 4):
            raise InputError(
                f"voxelmorph: an array of shape {tuple(x.shape)}; expected (n, rows, columns, "
                "channels) or (n, x, y, z, channels)"
            )
        self.reference_ = self._chosen_reference(x)
        checkpoint = None if checkpoint is None else Path(checkpoint)
        familiarity = learn(_coarse_pictures(x))
        fixed = standardise(self.reference_)
        self.weights_, self.losses_ = train_to_reference(x, fixed, parameters, checkpoint)
        self.familiar_mean_ = familiarity.mean
        self.familiar_components_ = familiarity.components
        self.most_unexplained_ = familiarity.most_unexplained
        self.least_similarity_ = LEAST_LIKENESS
        self.least_similarity_ = self._least_similarity(x)
        return self

    def transform(self, x) -> Registered:
        """Bring samples to the reference.

        Parameters
        ----------
        x : ndarray, shape (n, *shape, channels)

        Returns
        -------
        Registered
            `tensors` as `x`, float32; `qc` has `ok` and the columns of `DeformationQuality`.

        Raises
        ------
        InputError
            If this registration is not fitted, the shape is not that of the reference, or
            `refine_steps` is out of range.
        """
        register = self._registering(x)
        tensors = np.full(x.shape, np.nan, np.float32)
        qualities, transforms = [], []
        # Threads, since the network's loops each keep one core busy; no more samples at once than
        # the training had, which took more memory for each.
        threads = max(1, min(available_cores(), self.batch_size, len(x)))
        with ThreadPoolExecutor(threads) as pool:
            done = pool.map(partial(self._register, register=register), x)
            for (quality, moved, displacement), tensor in zip(
                track(done, "Deforming", total=len(x)), tensors, strict=True
            ):
                if quality.reason == "":
                    tensor[:] = moved
                qualities.append(quality)
                transforms.append(displacement)
        return Registered(tensors, quality_table(qualities, DeformationQuality), transforms)

    def warp(self, labels: np.ndarray, transforms: Sequence[np.ndarray], order: int = 0):
        """Carry labels, or other images on the same grid, into the reference's frame.

        Parameters
        ----------
        labels : ndarray, shape (n, *shape) or (n, *shape, channels)
            With the channels of the samples where these have several.
        transforms : sequence of ndarray, length n
            As `transform` gives them; those of samples that failed are NaN.
        order : int
            Of the interpolation: 0 for labels, 1 (linear) or more for images.

        Returns
        -------
        ndarray
            Of the shape of `labels`, and their type; of failed samples 0, or NaN if they are
            floats.

        Raises
        ------
        InputError
            If labels and transforms do not belong together.
        """
        labels = np.asarray(labels)
        if len(labels) != len(transforms):
            raise InputError(
                f"voxelmorph: {len(labels)} label maps and {len(transforms)} transforms; expected "
                "the same number"
            )
        nothing = np.nan if np.issubdtype(labels.dtype, np.floating) else 0
        warped = np.full_like(labels, nothing)
        for label, displacement, out in zip(labels, transforms, warped, strict=True):
            framed = displacement.ndim == displacement.shape[-1] + 2
            grid = displacement.shape[: displacement.shape[-1] + framed]
            if label.shape != grid and (framed or label.shape[:-1] != grid):
                raise InputError(f"voxelmorph: a label map of shape {label.shape}; expected {grid}")
            if not np.isfinite(displacement).all():
                continue
            if label.ndim == displacement.shape[-1]:
                out[:] = deformation.warp(label, displacement, order)
                continue
            for channel in range(label.shape[-1]):
                field = displacement[..., channel, :] if framed else displacement
                out[..., channel] = deformation.warp(label[..., channel], field, order)
        return warped

    def _checked_parameters(self) -> dict:
        from regreveal.models.loop import check_parameters

        if self.similarity not in ("ncc", "mse"):
            raise InputError(f"voxelmorph: similarity is '{self.similarity}'; expected ncc or mse")
        if not 0 <= self.smoothness < np.inf:
            raise InputError(f"voxelmorph: smoothness is {self.smoothness}; expected 0 or more")
        if len(self.features) < 2 or min(self.features) < 1:
            raise InputError(
                f"voxelmorph: features are {list(self.features)}; expected at least two numbers "
                "of at least 1"
            )
        self._check_refine_steps()
        parameters = {
            "features": list(self.features),
            "integration_steps": INTEGRATION_STEPS if self.diffeomorphic else 0,
            "similarity": self.similarity,
            "smoothness": self.smoothness,
            "steps": self.steps,
            "steps_per_epoch": self.steps_per_epoch,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }
        numbers = ("steps", "steps_per_epoch", "batch_size", "learning_rate")
        return check_parameters(parameters, numbers)

    def _check_refine_steps(self) -> None:
        steps = self.refine_steps
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 0:
            raise InputError(
                f"voxelmorph: refine_steps is {steps!r}; expected a whole number of at least 0"
            )

    def _chosen_reference(self, x) -> np.ndarray:
        """Give the reference, checked; or the sample most like the mean of some."""
        if self.reference is not None:
            reference = np.asarray(self.reference, np.float32)
            if reference.shape != tuple(x.shape[1:]):
                raise InputError(
                    f"voxelmorph: the reference has shape {reference.shape}; the samples have "
                    f"{tuple(x.shape[1:])}"
                )
            if reason := unusable_reason(reference):
                raise InputError(f"voxelmorph: the reference is unusable ({reason})")
            return reference
        candidates = [x[int(row)] for row in spread(len(x), REFERENCE_CANDIDATES)]
        candidates = [sample for sample in candidates if not unusable_reason(sample)]
        if not candidates:
            raise InputError(NONE_USABLE)
        standardised = [standardise(sample) for sample in candidates]
        mean = np.mean(standardised, axis=0)
        likeness = [correlation(mean, sample) for sample in standardised]
        return np.asarray(candidates[int(np.argmax(likeness))], np.float32)

    def _least_similarity(self, x) -> float:
        """Bound below which a sample is unlike those learned from."""
        rows = spread(len(x), LIKENESS_SAMPLES)
        register = self._registering(x)
        reached = np.array([self._register(x[int(r)], register)[0].similarity_after for r in rows])
        return least_likeness(reached[np.isfinite(reached)], SMALLEST_DEVIATION)

    def _familiarity(self) -> Familiarity:
        return Familiarity(
            self.familiar_mean_, self.familiar_components_, float(self.most_unexplained_)
        )

    def _registering(self, x):
        """Give the network this one's weights; return what registers one sample's images by it."""
        from regreveal.registration.voxelmorph_training import set_weights

        if not hasattr(self, "most_unexplained_"):
            raise InputError("voxelmorph: not fitted; call fit first, or load a fitted one")
        self._check_refine_steps()
        if tuple(x.shape[1:]) != self.reference_.shape:
            raise InputError(
                f"voxelmorph: samples of shape {tuple(x.shape[1:])}; the reference has "
                f"{self.reference_.shape}"
            )
        padding = Padding(self.reference_.shape[:-1], len(self.features))
        steps = INTEGRATION_STEPS if self.diffeomorphic else 0
        network = padding.shape, tuple(int(number) for number in self.features), steps
        model = adapter.network(*network)
        set_weights(model, self.weights_)
        if self.refine_steps:
            from regreveal.registration.voxelmorph_refining import refining

            apply = refining(model, steps, self.similarity, self.smoothness, self.refine_steps)
        else:
            apply = adapter.registering(*network)
        reference = standardise(self.reference_)
        fixed = padding.images(reference)

        def register(values: np.ndarray, standardised: np.ndarray):
            moving = padding.images(standardised)
            along = np.concatenate([moving, padding.images(values)], axis=-1)
            displacement, moved = (
                padding.crop(part.numpy()) for part in apply(moving, fixed, along)
            )
            return displacement, np.moveaxis(moved, 0, -2), reference

        return register

    def _register(
        self, sample: np.ndarray, register
    ) -> tuple[DeformationQuality, np.ndarray | None, np.ndarray]:
        """Quality, moved values and displacement of one sample; of an unusable one NaN."""
        several = sample.shape[-1] > 1
        grid = sample.shape if several else sample.shape[:-1]
        nowhere = np.full((*grid, sample.ndim - 1), np.nan, np.float32)
        quality = DeformationQuality(unusable_reason(sample))
        if quality.reason:
            return quality, None, nowhere
        standardised = standardise(sample)
        values = np.asarray(sample, np.float32)
        displacement, moved, reference = register(values, standardised)
        statistics = deformation.field_statistics(displacement)
        quality = DeformationQuality(
            similarity_before=correlation(reference, standardised),
            similarity_after=correlation(reference, moved[..., 0]),
            **vars(statistics),
            unexplained=self._familiarity().unexplained(coarse_picture(standardised)),
        )
        if not quality.similarity_after >= self.least_similarity_:
            quality.reason = UNLIKE
        elif quality.folds_percent > MOST_FOLDS_PERCENT:
            quality.reason = FOLDED
        elif quality.unexplained > self.most_unexplained_:
            quality.reason = UNFAMILIAR
        if quality.reason:
            return quality, None, nowhere
        field = np.moveaxis(displacement, 0, -2) if several else displacement[0]
        return quality, moved[..., 1], np.ascontiguousarray(field)


def _coarse_pictures(x) -> np.ndarray:
    """Coarse pictures, (m, f), of up to 1000 usable samples, as they are given."""
    samples = (x[int(row)] for row in spread(len(x), FAMILIARITY_SAMPLES))
    pictures = [coarse_picture(standardise(s)) for s in samples if not unusable_reason(s)]
    if not pictures:
        raise InputError(NONE_USABLE)
    return np.stack(pictures)
