"""How a network is trained: what a training's parameters may say beside its size and its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import keras

from regreveal.errors import InputError

SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
WARMUP = 20  # the step size rises during one part in so many of the steps
GRADIENT_NORM = 1.0  # of all gradients together; larger ones are scaled down to it


@dataclass(frozen=True)
class TrainingPlan:
    """What decides about the result of a training, beside its data, its network and its steps.

    Parameters
    ----------
    precision : str
        "float32", or what a GPU computes in where half the digits do: "mixed_float16" (the loss is
        scaled up, so that small gradients are not lost) or "mixed_bfloat16". Weights, latents and
        reconstructions are float32 all the same.
    accumulation : int
        A batch is taken in so many parts, one after another, and the mean of their gradients is one
        step: memory for a part is enough, and the result that of the whole batch, unless the loss
        compares the samples of a batch with each other.
    averaging : float, optional
        Share that an exponential moving average of the weights keeps at each step, such as 0.99.
        Validation, the best epoch and what is saved are then those of the average.
    schedule : str
        "cosine": the step size rises during the first twentieth of the steps, then falls along half
        a cosine to a hundredth. "constant": it rises and stays.
    patience : int, optional
        Training ends when the validation loss has not been below its least for so many epochs.

    Raises
    ------
    InputError
        If a value is not one of these.
    """

    precision: str = "float32"
    accumulation: int = 1
    averaging: float | None = None
    schedule: str = "cosine"
    patience: int | None = None

    def __post_init__(self):
        for name, allowed in (("precision", PRECISIONS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"training: {name} is {getattr(self, name)!r}; expected {' or '.join(allowed)}"
                )
        for name in ("accumulation", "patience"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= 1):
                raise InputError(f"training: {name} is {value}; expected a number of at least 1")
        if self.averaging is not None and not 0 < self.averaging < 1:
            raise InputError(
                f"training: averaging is {self.averaging}; expected above 0 and below 1"
            )

    @classmethod
    def of(cls, parameters: dict) -> "TrainingPlan":
        """Take from a training's parameters those that are a plan's; the others may be anything."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in parameters.items() if name in names})

    @classmethod
    def checked(cls, plan: Mapping[str, object] | None, method: str) -> "TrainingPlan":
        """Make a plan of what a method was given; one line that names what is no part of a plan."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in plan or {} if name not in known]
        if unknown:
            raise InputError(f"{method}: plan names '{unknown[0]}' (there are: {', '.join(known)})")
        return cls(**(plan or {}))

    def check_batch(self, batch_size: int, devices: int = 1) -> None:
        """Raise InputError unless a batch divides into equal parts for accumulation and devices.

        TensorFlow's strategy cannot sum gradients up on several devices, JAX can.
        """
        if self.accumulation > 1 and devices > 1 and keras.backend.backend() == "tensorflow":
            raise InputError(
                f"training: accumulation is {self.accumulation} on {devices} devices; with "
                "TensorFlow expected one of the two (KERAS_BACKEND=jax takes both)"
            )
        if batch_size % (self.accumulation * devices):
            raise InputError(
                f"training: batch_size is {batch_size}; expected a multiple of "
                f"{self.accumulation * devices} (accumulation {self.accumulation} on {devices} "
                f"device{'s' * (devices > 1)})"
            )

    def optimizer(self, steps: int, learning_rate: float) -> keras.optimizers.Optimizer:
        """Adam for so many steps, its step size as scheduled, with the loss scaled if need be."""
        adam = Adam(
            _Schedule(
                **learning_rates(steps, learning_rate, self.schedule), parts=self.accumulation
            ),
            global_clipnorm=GRADIENT_NORM,
            # Keras averages after every part of a batch.
            use_ema=self.averaging is not None,
            ema_momentum=self.averaging ** (1 / self.accumulation) if self.averaging else 0.99,
            gradient_accumulation_steps=self.accumulation if self.accumulation > 1 else None,
        )
        if self.precision != "mixed_float16":
            return adam
        return keras.optimizers.LossScaleOptimizer(adam)


def learning_rates(steps: int, learning_rate: float, schedule: str = "cosine") -> dict:
    """Arguments of Keras' CosineDecay: a rise over a twentieth of the steps, then half a cosine.

    Parameters
    ----------
    steps : int
        Of the whole training.
    learning_rate : float
        The largest.
    schedule : str
        "cosine", or "constant" for one that does not fall.
    """
    warmup = steps // WARMUP
    return {
        "initial_learning_rate": learning_rate / WARMUP if warmup else learning_rate,
        "decay_steps": steps - warmup,
        "alpha": 0.01 if schedule == "cosine" else 1.0,
        "warmup_target": learning_rate if warmup else None,
        "warmup_steps": warmup,
    }


@keras.saving.register_keras_serializable(package="regreveal")
class Adam(keras.optimizers.Adam):
    """Adam that keeps the average of the weights beside them, rather than ending a fit with it.

    An epoch is a fit of its own, and the next goes on from the weights.
    """

    def finalize_variable_values(self, var_list):
        """Leave the weights as they are; `put_average` gives the average."""

    def put_average(self, variables: list) -> None:
        """Give variables of the model their averages."""
        super().finalize_variable_values(variables)
        for variable in variables:
            # A copy: JAX hands the memory of what it computes from over to the result.
            variable.assign(variable.numpy())


@keras.saving.register_keras_serializable(package="regreveal")
class _Schedule(keras.optimizers.schedules.CosineDecay):
    """A schedule by updates, where the optimizer counts the parts of batches."""

    def __init__(self, *args, parts: int = 1, **kwargs):
        super().__init__(*args, **kwargs)
        self.parts = parts

    def __call__(self, step):
        return super().__call__(step // self.parts)

    def get_config(self):
        return {**super().get_config(), "parts": self.parts}


def out_of_patience(history: list[dict], patience: int | None) -> bool:
    """Say whether the least validation loss is `patience` epochs old or more."""
    if patience is None or not history:
        return False
    best = min(history, key=lambda row: row["validation_loss"])
    return history[-1]["epoch"] - best["epoch"] >= patience


def smaller_batch(batch_size: int, accumulation: int) -> str:
    """Say what to try where a batch does not fit in memory."""
    if batch_size == 1:
        return "a smaller network (channels, growth), or precision = 'mixed_float16'"
    if batch_size % (2 * accumulation) == 0:
        return (
            f"accumulation = {2 * accumulation} (the same result in half the memory) "
            f"or batch_size = {batch_size // 2}"
        )
    return f"batch_size = {batch_size // 2}"
