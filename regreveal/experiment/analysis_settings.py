"""The tables of an experiment file that ask for an analysis."""

import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Settings(BaseModel):
    """A table of the experiment file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Probes(Settings):
    """Linear probes.

    A target is a column of the phenotypes or the cohort, or `arm.column` of an arm's registration
    quality figures; `categorical` are those of them whose classes are coded in numbers, and
    `continuous` those that are numbers though they have but two values. A comparison may have
    targets of its own. What latents add to the columns of `adjust` is measured, too.
    """

    targets: list[str] = []
    categorical: list[str] = []
    continuous: list[str] = []
    adjust: list[str] = []


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
    """The PheWAS of phecodes.

    Covariates and `visit`, the day of the visit, are columns of the cohort; `end_of_follow_up` is
    one, too, or a day, and the last day of the diagnoses where not given. A case has codes on
    `minimum_count` days, and with timing "prevalent" the first by `window_days` after the visit.
    With `incident`, diseases that came later are tested, too. `null` lists what is set beside:
    permuted labels, latents of other people, or noise, each drawn `null_repeats` times.
    `icd10_edition` says whose codes to use of a map that has those of both, and `until` is the last
    day of the records, after which a date is impossible; where not given, the day on which the run
    first saw the diagnoses as they are.
    """

    covariates: list[str] = []
    minimum_cases: int = Field(20, ge=2)
    minimum_count: int = Field(1, ge=1)
    timing: Literal["ever", "prevalent"] = "ever"
    null: list[Literal["labels", "latents", "gaussian"]] = ["labels", "latents"]
    null_repeats: int = Field(1, ge=1)
    incident: bool = False
    visit: str | None = None
    end_of_follow_up: str | None = None
    window_days: int = Field(0, ge=0)
    icd10_edition: Literal["who", "cm"] | None = None
    until: str | None = None

    @field_validator("until")
    @classmethod
    def _is_a_day(cls, until: str | None) -> str | None:
        if until is not None:
            datetime.date.fromisoformat(until)
        return until

    @model_validator(mode="after")
    def _visit_is_given(self) -> "Phewas":
        if (self.incident or self.timing == "prevalent") and self.visit is None:
            raise ValueError("incident and prevalent disease need `visit`, a column of the cohort")
        return self


class Clusters(Settings):
    """Clusters of the lead variants.

    Trees are cut at `height`, or else midway between identical and unrelated directions. Stability
    is over `bootstraps` samples of participants, and the p-values of agreement between arms are of
    `permutations` of the variants.
    """

    height: float | None = Field(None, gt=0, le=1)
    bootstraps: int = Field(100, ge=1)
    permutations: int = Field(9999, ge=99)


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
        if steps != sorted(set(steps)) or 0 not in steps or not steps[0] < 0 < steps[-1]:
            raise ValueError("expected increasing scores on both sides of 0, and 0 itself")
        return steps


class Replication(Settings):
    """Whether the loci of half of the participants replicate in the other half; it has no keys."""


class Recurrence(Settings):
    """How many loci recur when the autoencoders of `arms` are trained again, with `seeds` more."""

    arms: list[str] = Field(min_length=1)
    seeds: int = Field(2, ge=1)
