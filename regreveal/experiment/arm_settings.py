"""The tables of an experiment file that say what makes latents, and which arms are compared."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from regreveal import registration as registrations
from regreveal.experiment.analysis_settings import Settings
from regreveal.experiment.data_settings import InputPath


class Plan(Settings):
    """How a network is trained; see `regreveal.models.plan.TrainingPlan`."""

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    accumulation: int = Field(1, ge=1)
    averaging: float | None = Field(None, gt=0, lt=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    patience: int | None = Field(None, ge=1)


class Autoencoder(Plan):
    """Size and training of an autoencoder; the same for every arm unless an arm says otherwise."""

    latent_size: int = Field(16, ge=1)
    steps: int = Field(1000, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(5e-3, gt=0)
    devices: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    tensorboard: bool = False


class Registration(Settings):
    """How an arm's tensors are made from another tensor map's.

    The method is RegReveal's, or a site's own as `module:Class`.
    The image that others are registered to is chosen by the method, unless it is the `reference`,
    a file, or the image of the `exemplar`: the training participant who has the median of that
    column of the phenotypes or the cohort.
    """

    method: str
    input: str
    parameters: dict[str, Any] = Field({})
    exemplar: str | None = None
    reference: InputPath | None = None

    @model_validator(mode="after")
    def _one_reference(self):
        if self.exemplar and self.reference:
            raise ValueError("got both an exemplar and a reference; expected at most one")
        return self


class Fusion(Plan):
    """One training of encoders of several modalities, those of the arms that name it.

    Each encoder starts from that of the arm among `warm_start` that has its tensor map, if any.
    """

    latent_size: int = Field(16, ge=1)
    steps: int = Field(1000, ge=1)
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(5e-3, gt=0)
    contrast_weight: float = Field(0.1, ge=0)
    steps_per_epoch: int = Field(100, ge=1)
    warm_start: list[str] = Field([])


class Arm(Settings):
    """One latent space: a tensor map, how its tensors are registered, what makes latents of them.

    The tensors come from the data or, with `after`, from another arm that has registered them. An
    autoencoder makes the latents, or the `fusion` that the arm is a modality of, or a registration
    that gives latents itself.
    """

    tensor_map: str
    after: str | None = None
    registration: Registration | None = None
    fusion: str | None = None
    autoencoder: Autoencoder | None = None

    @property
    def gives_latents(self) -> bool:
        """Whether its registration gives latent vectors, not tensors."""
        return self.registration is not None and method_gives_latents(self.registration.method)

    @property
    def input(self) -> str:
        """The tensor map that is registered, or else the arm's own."""
        return self.registration.input if self.registration else self.tensor_map


class Comparison(Settings):
    """Two arms, compared on the same participants; `targets` replace those of the probes."""

    baseline: str
    against: str
    targets: list[str] | None = Field(None, min_length=1)

    @property
    def arms(self) -> tuple[str, str]:
        """The arms, the baseline first."""
        return self.baseline, self.against


def method_gives_latents(method: object) -> bool:
    """Whether RegReveal has a registration of that name that gives latents.

    Of a site's own this is not asked: reading an experiment imports no code that it names.
    """
    there = method in registrations.__all__
    # Not everything of the package is a method; whoever looks the method up says so.
    return there and getattr(getattr(registrations, method), "gives_latents", False)
