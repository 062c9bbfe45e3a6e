"""The tables of an experiment file that ask for an analysis."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Settings(BaseModel):
    """A table of the experiment file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Probes(Settings):
    """Linear probes.

    A target is a column of the phenotypes or the cohort, or `arm.column` of an arm's registration
    quality figures; `categories` are those of them whose classes are coded in numbers. A
    comparison may have targets of its own.
    """

    targets: list[str] = []
    categories: list[str] = []


class Gwas(Settings):
    """The latent GWAS.

    Covariates are in the model; what is projected out is taken from the latents before. Both are
    columns of the cohort.
    """

    coding: Literal["genotype", "additive"] = "genotype"
    transform: Literal["radial", "rint", "none"] = "radial"
    covariates: list[str] = []
    project_out: list[str] = []
    minimum_maf: float | None = Field(None, ge=0, le=0.5)
    per_dimension: bool = False


class Phewas(Settings):
    """The PheWAS of phecodes; covariates are columns of the cohort."""

    covariates: list[str] = []


class Clusters(Settings):
    """Clusters of the lead variants; their stability over bootstrap samples."""

    bootstraps: int = Field(100, ge=1)


class Directions(Settings):
    """Decoding along the directions of an arm's strongest loci and diseases.

    `variants` lead variants and `phecodes` significant phecodes at most; `steps` are the scores
    decoded at, in standard deviations.
    """

    variants: int = Field(2, ge=0)
    phecodes: int = Field(1, ge=0)
    steps: list[float] = [-3, -2, -1, 0, 1, 2, 3]

    @field_validator("steps")
    @classmethod
    def _go_to_both_sides(cls, steps: list[float]) -> list[float]:
        increasing = all(low < high for low, high in zip(steps, steps[1:], strict=False))
        if not (increasing and 0 in steps and steps[0] < 0 < steps[-1]):
            raise ValueError("expected increasing scores on both sides of 0, and 0 itself")
        return steps
