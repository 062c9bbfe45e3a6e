"""The tables of an experiment file that say where data come from and who is what in them."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from regreveal.experiment.analysis_settings import Settings


class Simulation(Settings):
    """A simulated biobank, drawn into the run folder."""

    participants: int = Field(4000, ge=100)
    variants: int = Field(20_000, ge=500)
    seed: int | None = Field(None, ge=0, description="The experiment's seed where it is None.")
    modalities: list[Literal["ecg", "dxa", "brain", "cardiac"]] | None = Field(
        None, min_length=1, description="Those that the arms need where it is None."
    )


class Data(Settings):
    """Where the data are: simulated, a folder laid out like the simulated one, or single files.

    Relative paths start at the working directory, as on the command line. `episodes` is UK
    Biobank's hesin, with the dates of `diagnoses`, hesin_diag; `phecodes_icd9` maps codes that
    `phecodes` does not; `phecode_info` is needed where these do not describe phecodes themselves.
    """

    simulate: Simulation | None = None
    folder: Path | None = None
    tensors: Path | None = None
    cohort: Path | None = None
    phenotypes: Path | None = None
    phenotype_info: Path | None = None
    genotypes: Path | None = None
    genes: Path | None = None
    diagnoses: Path | None = None
    episodes: Path | None = None
    phecodes: Path | None = None
    phecodes_icd9: Path | None = None
    phecode_info: Path | None = None

    @model_validator(mode="after")
    def _one_source(self):
        files = [n for n in type(self).model_fields if n not in ("simulate", "folder")]
        named = [n for n in files if getattr(self, n) is not None]
        if self.simulate and named:
            raise ValueError(f"simulated data come with all their files; leave '{named[0]}' out")
        given = [n for n in ("simulate", "folder", "tensors") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"got {' and '.join(given) or 'none'} of simulate, folder and tensors; "
                "expected exactly one"
            )
        return self


class Training(Settings):
    """Other data for the autoencoders to learn from; by default they learn from the same."""

    simulate: Simulation


class Splits(Settings):
    """Share of participants in each split."""

    train: float = Field(0.2, gt=0, lt=1)
    validation: float = Field(0.05, gt=0, lt=1)
    analysis: float = Field(0.75, ge=0, lt=1)

    @model_validator(mode="after")
    def _adds_up(self):
        total = self.train + self.validation + self.analysis
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train + validation + analysis is {total:g}; expected 1")
        return self
