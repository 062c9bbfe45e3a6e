"""DropFuse: several modalities of a participant share one latent space."""

import copy
import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.progress import track
from regreveal.registration import images
from regreveal.registration.base import Registered, Registration
from regreveal.registration.dropfuse_input import (
    BLOCK,
    block,
    check_alike,
    check_fusible,
    participant_count,
    presence,
)
from regreveal.registration.dropfuse_quality import encode, fuse, quality_of
from regreveal.tensormap import TensorMap


class DropFuse(Registration):
    """One latent space for several modalities of the same participants.

    Each modality has an encoder and a decoder (`build_autoencoder`). They are trained together:
    every modality is reconstructed from fused latents, of which each coordinate of each
    participant is taken from one of their modalities at random, drawn afresh at every step; and
    symmetric InfoNCE, with a learned temperature, asks that a participant's latents of one
    modality are told from others' by those of another. Latents come from one modality alone, or
    are the mean over those that a participant has.

    A participant without a modality takes part with those that there are, and is left out of the
    contrast with the one that is missing.

    Parameters
    ----------
    latent_size : int
        Dimensions of the latent space.
    steps, batch_size : int
        How many batches to train on, of how many participants: others of the batch are what the
        contrast tells a participant from.
    learning_rate : float
        The largest, of Adam.
    contrast_weight : float
        Of the contrast, beside a reconstruction whose loss is 1 if it is the mean tensor.
    seed : int
        Of the initial weights, the order of participants, who is held out, and the fusion.
    steps_per_epoch : int
        Steps between two looks at the participants held out, by which the best is chosen.
    warm_start : mapping of str to path-like, optional
        Model folders to start from, by tensor map: encoder, decoder and their standardisation.
        Only `fit` needs them; saved is which modalities had one, not where.
    architectures : mapping of str to dict, optional
        Further arguments of `build_autoencoder`, by tensor map.
    plan : mapping, optional
        Arguments of a `TrainingPlan` that are not to be as by default, such as
        {"precision": "mixed_bfloat16"}. With accumulation, only participants of the same part of
        a batch are told apart.

    Attributes
    ----------
    modalities_ : ndarray of str
        Names of the tensor maps.
    losses_ : ndarray, shape (epochs, 4)
        Steps done, training and validation loss, learning rate.
    held_out_ : ndarray of int
        Rows of `x` that `fit` chose the best epoch by; empty where it was given others.
    explained_variance_ : ndarray, shape (modalities,)
        Of those held out, by each modality's own encoder and decoder; of those learned from where
        nobody held out has the modality.
    temperature_ : float
        Learned; logits are cosines divided by it.
    warm_started_ : ndarray of str
        Modalities whose networks started from those of a model folder.
    """

    gives_latents = True
    uses_all_cores = True

    def __init__(
        self,
        latent_size: int = 16,
        steps: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        contrast_weight: float = 0.1,
        seed: int = 1,
        steps_per_epoch: int = 100,
        warm_start: Mapping[str, str | os.PathLike] | None = None,
        architectures: Mapping[str, dict] | None = None,
        plan: Mapping[str, object] | None = None,
    ):
        self.latent_size = latent_size
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.contrast_weight = contrast_weight
        self.seed = seed
        self.steps_per_epoch = steps_per_epoch
        # Parameters of a training are JSON, which does not know paths.
        self.warm_start = warm_start and {name: str(path) for name, path in warm_start.items()}
        self.architectures = architectures
        self.plan = plan

    def fit(self, x: Mapping, checkpoint: str | os.PathLike | None = None, validation=None):
        """Train the networks of all modalities together.

        Parameters
        ----------
        x : mapping of str to array-like, shape (n, *shape, channels)
            Tensors by name of the tensor map, normalised as models see them; rows are the same
            participants in all. Anything that has a shape and gives rows when indexed by sorted
            row numbers. A missing tensor is a row of NaN; array-likes with an attribute
            `present` (bool, (n,)) say there who has one, and nobody's need be read to know.
        checkpoint : path-like, optional
            Folder for the state of the training, written after each epoch: a training that was
            killed goes on from there, to the result it would have had.
        validation : mapping of str to array-like, optional
            Others to choose the best epoch by; by default a tenth of `x` is held out.

        Returns
        -------
        DropFuse
            This one.

        Raises
        ------
        InputError
            If a parameter is out of range; there are fewer than two modalities, their rows do not
            match, or nobody has two of them; a participant has none, or a tensor that is not
            finite; the checkpoint is of another training, or the loss is not finite.
        """
        from regreveal.registration.dropfuse_training import Participants, fit_fusion

        parameters = self._checked_parameters(x)
        present = presence(x)
        rows, held_out = np.arange(len(present)), np.arange(0)
        if validation is None:
            rows, held_out = map(np.sort, images.held_out_rows(len(present), self.seed))
            unseen = Participants(x, present, held_out)
        else:
            check_alike(x, validation)
            there = presence(validation)
            unseen = Participants(validation, there, np.arange(len(there)))
        learned = Participants(x, present, rows)
        check_fusible(learned)
        # A training that goes on must have been one on the same participants.
        parameters["participants"] = [part.fingerprint() for part in (learned, unseen)]
        checkpoint = None if checkpoint is None else Path(checkpoint)
        network, state = fit_fusion(learned, unseen, parameters, checkpoint)

        self.held_out_ = held_out
        self.modalities_ = np.array(list(x))
        self.warm_started_ = np.array(sorted(self.warm_start or {}), str)
        self.shapes_ = _padded([tuple(values.shape[1:]) for values in x.values()])
        self.weights_ = np.concatenate([weight.ravel() for weight in network.get_weights()])
        names = ("steps", "loss", "validation_loss", "learning_rate")
        self.losses_ = np.array([[row[name] for name in names] for row in state.history])
        self.temperature_ = float(np.exp(-np.asarray(network.contrast.log_scale)))
        # Built anew: those trained compute in the plan's precision.
        vars(self).pop("_built", None)
        quality = []
        for number, models in enumerate(self._models()):
            judged_by = unseen if unseen.present[:, number].any() else learned
            quality.append(quality_of(models, judged_by, number))
        self.explained_variance_, self.most_unexplained_ = np.array(quality).T
        return self

    def transform(self, x: Mapping) -> Registered:
        """Give participants' latents: of one modality, or the mean of several.

        Parameters
        ----------
        x : mapping of str to array-like, shape (n, *shape, channels)
            One or more of the modalities that `fit` learned, as `fit` takes them.

        Returns
        -------
        Registered
            `tensors` are the latents (n, latent_size), float32. `qc` has `ok` and `reason`;
            `modalities`, those a participant has, joined by " + "; `agreement`, the mean cosine
            between their latents (NaN for one alone); and `explained_NAME` for each, the share of
            the tensor's squared difference from the mean tensor that its own latents explain.
            `transforms` holds for each participant which of the modalities of `x` were used.
            A participant with one unusable tensor is not ok, whatever else there is: make a
            tensor NaN throughout to go without it.

        Raises
        ------
        InputError
            If this registration is not fitted, or names, shapes or numbers of rows are not as they
            must be.
        """
        self._check_known(x)
        models = dict(zip(self.modalities_.tolist(), self._models(), strict=True))
        bounds = dict(zip(self.modalities_.tolist(), self.most_unexplained_, strict=True))
        count = participant_count(x)
        latents, used, qualities = [], [], []
        # One block of nobody at least, for the columns of its quality.
        for start in track(range(0, max(1, count), BLOCK), "Fusing"):
            rows = slice(start, min(start + BLOCK, count))
            parts = {
                name: encode(models[name], *block(values, rows), bounds[name])
                for name, values in x.items()
            }
            found, present, quality = fuse(parts)
            latents.append(found)
            used.extend(present)
            qualities.append(quality)
        qc = pd.concat(qualities, ignore_index=True)
        return Registered(np.concatenate(latents), qc, used)

    def save_models(
        self,
        folder: str | os.PathLike,
        tensor_maps: Mapping[str, TensorMap],
        trained_on: list[str],
        validated_on: list[str],
    ) -> dict[str, Path]:
        """Leave a model folder for each modality, so that inference needs one modality.

        Losses in `history.csv` and `model.json` are those of the fused training, relative to the
        mean tensor; `explained_variance` is the modality's own, of those held out.

        Parameters
        ----------
        folder : path-like
            Is left with `folder/NAME/` for each tensor map.
        tensor_maps : mapping of str to TensorMap
            Of every modality, by its name.
        trained_on, validated_on : list of str
            Participants that the modalities were fused on, and those the best epoch was chosen by.

        Returns
        -------
        dict of str to Path
            The model folders.

        Raises
        ------
        InputError
            If this registration is not fitted or a tensor map is not of a modality's shape.
        """
        from regreveal.models.model_folder import write_model
        from regreveal.models.state import TrainingState

        models = self._models()
        folders = {}
        for name, shape in self._shapes().items():
            tensor_map = tensor_maps.get(name)
            if tensor_map is None or tensor_map.channelled_shape != shape:
                found = "none" if tensor_map is None else f"shape {tensor_map.channelled_shape}"
                raise InputError(f"dropfuse: tensor map of {name}: {found}; expected shape {shape}")
        history = pd.DataFrame(
            self.losses_, columns=["steps", "loss", "validation_loss", "learning_rate"]
        ).astype({"steps": int})
        history.insert(0, "epoch", np.arange(1, len(history) + 1))
        for number, name in enumerate(self._shapes()):
            parameters = self.get_params() | {
                "tensor_map": dataclasses.asdict(tensor_maps[name]),
                "architecture": dict((self.architectures or {}).get(name, {})),
                "warm_start": self.warm_started_.tolist(),
                "fused_with": [other for other in self.modalities_.tolist() if other != name],
                "trained_on": [str(sample_id) for sample_id in trained_on],
                "validated_on": [str(sample_id) for sample_id in validated_on],
            }
            state = TrainingState(parameters, 1.0, 1.0, history.to_dict("records"))
            folders[name] = Path(folder) / name
            write_model(
                models[number],
                state,
                folders[name],
                baseline_loss=1.0,
                validation_baseline_loss=1.0,
                explained_variance=float(self.explained_variance_[number]),
                temperature=float(self.temperature_),
            )
        return folders

    def save(self, folder: str | os.PathLike) -> None:
        """Write parameters and learned arrays, as every registration does, without paths."""
        without = copy.copy(self)
        without.warm_start = None
        super(DropFuse, without).save(folder)

    def _checked_parameters(self, x: Mapping) -> dict:
        """Check parameters and the mapping's shapes; return what says which training this is."""
        from regreveal.models.loop import check_parameters
        from regreveal.models.plan import TrainingPlan

        if not isinstance(x, Mapping) or len(x) < 2:
            raise InputError(
                "dropfuse: fit takes a mapping of at least two modalities, from the name of the "
                "tensor map to its tensors; to train one alone, use `train`"
            )
        if participant_count(x) < 1:
            raise InputError("dropfuse: no participants to learn from; expected at least one")
        if not 0 <= self.contrast_weight < math.inf:
            raise InputError(
                f"dropfuse: contrast_weight is {self.contrast_weight}; expected 0 or more"
            )
        for option in ("warm_start", "architectures"):
            for name in getattr(self, option) or {}:
                if name not in x:
                    raise InputError(
                        f"dropfuse: {option} names '{name}', which is none of the modalities "
                        f"({', '.join(x)})"
                    )
        parameters = self.get_params() | {
            "warm_start": self.warm_start or {},
            "architectures": {k: dict(v) for k, v in (self.architectures or {}).items()},
            **dataclasses.asdict(TrainingPlan.checked(self.plan, "dropfuse")),
            "shapes": {name: list(values.shape) for name, values in x.items()},
        }
        numbers = ("latent_size", "steps", "steps_per_epoch", "batch_size", "learning_rate")
        return check_parameters(parameters, numbers)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one participant's tensor by modality."""
        if not hasattr(self, "weights_"):
            raise InputError("dropfuse: not fitted; call fit first, or load a fitted one")
        return {
            name: tuple(int(size) for size in shape if size)
            for name, shape in zip(self.modalities_.tolist(), self.shapes_, strict=True)
        }

    def _models(self) -> list:
        """Autoencoders of all modalities, with the learned weights; built once."""
        from regreveal.registration.dropfuse_training import build_network, modality_models

        shapes = self._shapes()
        if hasattr(self, "_built"):
            return self._built
        parameters = {**self.get_params(), "architectures": self.architectures or {}}
        network = build_network(shapes, parameters)
        sizes = [math.prod(weight.shape) for weight in network.weights]
        parts = np.split(self.weights_, np.cumsum(sizes)[:-1])
        network.set_weights(
            [part.reshape(w.shape) for part, w in zip(parts, network.weights, strict=True)]
        )
        self._built = [modality_models(network, number) for number in range(len(shapes))]
        return self._built

    def _check_known(self, x: Mapping) -> None:
        """Check names, shapes and numbers of rows of what is to be transformed."""
        shapes = self._shapes()
        if not isinstance(x, Mapping) or not x:
            raise InputError(
                "dropfuse: transform takes a mapping of one or more modalities, from the name of "
                f"the tensor map to its tensors (learned: {', '.join(shapes)})"
            )
        for name, values in x.items():
            if name not in shapes:
                raise InputError(
                    f"dropfuse: no modality '{name}' was learned (there are: {', '.join(shapes)})"
                )
            if tuple(values.shape[1:]) != shapes[name]:
                raise InputError(
                    f"dropfuse: {name} has tensors of shape {tuple(values.shape[1:])}; learned "
                    f"from {shapes[name]}"
                )
        participant_count(x)


def _padded(shapes: list[tuple[int, ...]]) -> np.ndarray:
    """Shapes of different lengths as one array, with zeros after the shorter."""
    padded = np.zeros((len(shapes), max(map(len, shapes))), int)
    for row, shape in zip(padded, shapes, strict=True):
        row[: len(shape)] = shape
    return padded
