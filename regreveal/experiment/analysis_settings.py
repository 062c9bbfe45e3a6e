"""The tables of an experiment file that ask for an analysis."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
