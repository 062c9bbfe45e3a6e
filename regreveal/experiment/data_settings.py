"""The tables of an experiment file that say where data come from and who is what in them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from regreveal.experiment.analysis_settings import Settings


def _leads_down(path: Path) -> Path:
    if ".." in path.parts:
        raise ValueError(
            f"'{path}' leads out of its folder by '..'; what lies elsewhere is named by its whole "
            "path"
        )
    return path


# Whoever reads an experiment file from elsewhere is to see at once what it reaches for.
InputPath = Annotated[Path, AfterValidator(_leads_down)]
OneOrSeveral = Annotated[
    list[InputPath],
    BeforeValidator(lambda paths: [paths] if isinstance(paths, str | Path) else paths),
    Field(min_length=1),
]


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

    Single files stand in the place of those of a folder, where there is one.

    Relative paths start at the working directory, as on the command line, and lead down from it:
    none has "..", but whole paths lead anywhere. `genotypes` are one file, or several of the same
    people, such as a file a chromosome. `episodes` is UK Biobank's hesin, with the dates
    of `diagnoses`, hesin_diag; `phecodes_icd9` maps codes that `phecodes` does not; `phecode_info`
    is needed where these do not describe phecodes themselves.
    """

    simulate: Simulation | None = None
    folder: InputPath | None = None
    tensors: InputPath | None = None
    cohort: InputPath | None = None
    phenotypes: InputPath | None = None
    phenotype_info: InputPath | None = None
    genotypes: OneOrSeveral | None = None
    genes: InputPath | None = None
    diagnoses: InputPath | None = None
    episodes: InputPath | None = None
    phecodes: InputPath | None = None
    phecodes_icd9: InputPath | None = None
    phecode_info: InputPath | None = None

    @model_validator(mode="after")
    def _one_source(self):
        files = [n for n in type(self).model_fields if n not in ("simulate", "folder")]
        named = [n for n in files if getattr(self, n) is not None]
        if self.simulate and named:
            raise ValueError(f"simulated data come with all their files; leave '{named[0]}' out")
        if self.simulate and self.folder:
            raise ValueError("got simulate and folder; expected one of them")
        if not (self.simulate or self.folder or self.tensors):
            raise ValueError("got none of simulate, folder and tensors; expected one of them")
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
