"""What an experiment file may say, and the errors where it says something else."""

import difflib
import os
import tomllib
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError, model_validator

from regreveal import registration as registrations
from regreveal.errors import InputError
from regreveal.experiment.analysis_settings import (
    Clusters,
    Directions,
    Gwas,
    Phewas,
    Probes,
    Recurrence,
    Replication,
    Settings,
)


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

    The image that others are registered to is chosen by the method, unless it is the `reference`,
    a file, or the image of the `exemplar`: the training participant who has the median of that
    column of the phenotypes or the cohort.
    """

    method: str
    input: str
    parameters: dict[str, Any] = Field({})
    exemplar: str | None = None
    reference: Path | None = None

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
        return self.registration is not None and _gives_latents(self.registration.method)

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


class Experiment(Settings):
    """An experiment file.

    Parameters
    ----------
    title : str
        Of the report.
    seed : int
        Splits, networks and resampling are drawn from it.
    tensormaps : str
        The package that declares the tensor maps.
    data, training, splits, autoencoder, arms, fusions, comparisons, probes, gwas, phewas, clusters,
    replication, recurrence, directions
        The tables of the file. An analysis without a table is not made.
    """

    title: str
    seed: int = Field(1, ge=0)
    tensormaps: str = "tensormaps"
    data: Data
    training: Training | None = None
    splits: Splits = Splits()
    autoencoder: Autoencoder = Autoencoder()
    arms: dict[str, Arm] = Field(min_length=1)
    fusions: dict[str, Fusion] = Field({})
    comparisons: dict[str, Comparison] = Field({})
    probes: Probes | None = None
    gwas: Gwas | None = None
    phewas: Phewas | None = None
    clusters: Clusters | None = None
    replication: Replication | None = None
    recurrence: Recurrence | None = None
    directions: Directions | None = None

    @model_validator(mode="before")
    @classmethod
    def _share_the_autoencoder(cls, content: Any) -> Any:
        """Give every arm that has one the experiment's autoencoder, with what the arm changes."""
        if not isinstance(content, dict) or not isinstance(content.get("arms"), dict):
            return content
        shared = content.get("autoencoder", {})
        arms = dict(content["arms"])
        for name, arm in arms.items():
            if not isinstance(arm, dict) or _latents_made_by(arm):
                continue
            own = arm.get("autoencoder", {})
            if isinstance(own, dict) and isinstance(shared, dict):
                arms[name] = {**arm, "autoencoder": {**shared, **own}}
        return {**content, "arms": arms}

    @model_validator(mode="after")
    def _analyses_have_what_they_need(self):
        analyses = ("probes", "gwas", "phewas", "clusters")
        analyses += ("replication", "recurrence", "directions")
        asked = [name for name in analyses if getattr(self, name)]
        if asked and not self.comparisons:
            raise ValueError(f"{asked[0]} needs a comparison; there is no table [comparisons.NAME]")
        if self.probes:
            self._check_targets()
        if self.clusters and not self.gwas:
            raise ValueError("clusters are of the GWAS's lead variants; there is no table [gwas]")
        if self.directions and not (self.gwas or self.phewas):
            raise ValueError(
                "directions are of loci and diseases; there is no table [gwas] or [phewas]"
            )
        for name in ("replication", "recurrence"):
            if getattr(self, name) and not self.gwas:
                raise ValueError(f"{name} is of the GWAS's loci; there is no table [gwas]")
        if self.comparisons and not self.training and self.splits.analysis == 0:
            raise ValueError("splits.analysis is 0; comparisons need analysis participants")
        return self

    @model_validator(mode="after")
    def _nobody_learned_from_is_analysed(self):
        if self.training and self.data.simulate:
            seed = self.seed_of(self.training.simulate)
            if seed == self.seed_of(self.data.simulate):
                raise ValueError(
                    f"data.simulate and training.simulate both have the seed {seed}: the same "
                    "people would be learned from and analysed; give one of them another seed"
                )
        return self

    def seed_of(self, simulation: Simulation) -> int:
        """Give the seed of a simulation: its own, or else the experiment's."""
        return self.seed if simulation.seed is None else simulation.seed

    def _check_targets(self) -> None:
        probed = {name: self.targets_of(name) for name in self.comparisons}
        for name, targets in probed.items():
            if not targets:
                raise ValueError(
                    f"probes.targets is empty, and comparisons.{name} has no targets of its own"
                )
        everything = {target for targets in probed.values() for target in targets}
        for key in ("categorical", "continuous"):
            for name in getattr(self.probes, key):
                if name not in everything:
                    raise ValueError(f"probes.{key}: '{name}' is not among the targets")

    def targets_of(self, comparison: str) -> list[str]:
        """Name what a comparison probes: its own targets, or else those of all."""
        return self.comparisons[comparison].targets or self.probes.targets

    @model_validator(mode="after")
    def _names_are_known(self):
        named = {"arm": self.arms, "fusion": self.fusions, "comparison": self.comparisons}
        for kind, names in named.items():
            for name in names:
                if not name.replace("_", "").replace("-", "").isalnum() or name == "oracle":
                    raise ValueError(
                        f"{kind} '{name}': expected letters, digits, - and _ (and not 'oracle')"
                    )
        self._check_chains()
        self._check_latents()
        for name in self.fusions:
            self._check_fusion(name)
        if self.recurrence:
            self._check_recurrence()
        for name, comparison in self.comparisons.items():
            for arm in comparison.arms:
                if arm not in self.arms:
                    raise ValueError(
                        f"comparisons.{name}: no arm '{arm}' (there are: {', '.join(self.arms)})"
                    )
            if comparison.baseline == comparison.against:
                raise ValueError(f"comparisons.{name}: both arms are '{comparison.baseline}'")
        return self

    def further_seeds(self, arm: str) -> list[int]:
        """Give the seeds that an arm's autoencoder is trained again with."""
        if self.recurrence is None or arm not in self.recurrence.arms:
            return []
        return [self.seed + more for more in range(1, self.recurrence.seeds + 1)]

    def _check_recurrence(self) -> None:
        trained = [name for name, arm in self.arms.items() if not (arm.fusion or arm.gives_latents)]
        compared = {arm for comparison in self.comparisons.values() for arm in comparison.arms}
        for name in self.recurrence.arms:
            if name not in trained:
                raise ValueError(
                    f"recurrence.arms: '{name}' is no arm with an autoencoder of its own "
                    f"(there are: {', '.join(trained) or 'none'})"
                )
            if name not in compared:
                raise ValueError(f"recurrence.arms: '{name}' is in no comparison")

    def _check_chains(self) -> None:
        """Check that an arm that goes on from another is below it, and that one registered."""
        above: dict[str, Arm] = {}
        for name, arm in self.arms.items():
            registered = [
                other
                for other, earlier in above.items()
                if earlier.registration and not earlier.gives_latents
            ]
            if arm.after is not None and arm.after not in registered:
                raise ValueError(
                    f"arms.{name}: after '{arm.after}', which is no registered arm above it "
                    f"(there are: {', '.join(registered) or 'none'})"
                )
            above[name] = arm

    def _check_latents(self) -> None:
        """Check that one thing makes an arm's latents."""
        for name, arm in self.arms.items():
            if arm.fusion is not None and arm.fusion not in self.fusions:
                raise ValueError(
                    f"arms.{name}: no fusion '{arm.fusion}' "
                    f"(there are: {', '.join(self.fusions) or 'none'})"
                )
            if arm.fusion and arm.registration:
                raise ValueError(
                    f"arms.{name}: has a fusion and a registration; expected one of them: register "
                    "in an arm of its own and go on from it with 'after'"
                )
            if arm.autoencoder and (arm.fusion or arm.gives_latents):
                maker = "a fusion" if arm.fusion else arm.registration.method
                raise ValueError(
                    f"arms.{name}: has an autoencoder, but its latents are those of {maker}; leave "
                    "the autoencoder out"
                )

    def _check_fusion(self, name: str) -> None:
        arms = self.arms_of(name)
        if len(arms) < 2:
            raise ValueError(
                f"fusions.{name}: {len(arms)} arm names it ({', '.join(arms) or 'none'}); expected "
                "at least two, one a modality"
            )
        of_map: dict[str, str] = {}
        for arm in arms:
            tensor_map = self.arms[arm].tensor_map
            if tensor_map in of_map:
                raise ValueError(
                    f"fusions.{name}: the arms '{of_map[tensor_map]}' and '{arm}' are both of "
                    f"{tensor_map}; expected another tensor map in each"
                )
            of_map[tensor_map] = arm
        started: set[str] = set()
        for arm in self.fusions[name].warm_start:
            self._check_warm_start(name, arm, of_map)
            if self.arms[arm].tensor_map in started:
                raise ValueError(
                    f"fusions.{name}: warm_start names two arms of {self.arms[arm].tensor_map}; "
                    "expected at most one"
                )
            started.add(self.arms[arm].tensor_map)

    def _check_warm_start(self, name: str, arm: str, of_map: dict[str, str]) -> None:
        """Check that an arm has an encoder that a fusion's can start from."""
        asked = f"fusions.{name}: warm_start from '{arm}'"
        trained = [other for other, its in self.arms.items() if its.autoencoder]
        if arm not in trained:
            raise ValueError(
                f"{asked}, which is no arm with an autoencoder (there are: "
                f"{', '.join(trained) or 'none'})"
            )
        if self.arms[arm].tensor_map not in of_map:
            raise ValueError(
                f"{asked}, which is of {self.arms[arm].tensor_map}; expected one of "
                f"{', '.join(of_map)}"
            )
        there, asked_for = self.arms[arm].autoencoder.latent_size, self.fusions[name].latent_size
        if there != asked_for:
            raise ValueError(f"{asked}, which has {there} latents; the fusion has {asked_for}")

    def arms_of(self, fusion: str) -> list[str]:
        """Name the arms that are a fusion's modalities."""
        return [name for name, arm in self.arms.items() if arm.fusion == fusion]

    def first_input(self, name: str) -> str:
        """Name the tensor map that the data hold, at the start of an arm's registrations."""
        arm = self.arms[name]
        return self.first_input(arm.after) if arm.after else arm.input


def _latents_made_by(arm: dict) -> str | None:
    """Say what makes an arm's latents, where it is no autoencoder."""
    registration = arm.get("registration")
    method = registration.get("method") if isinstance(registration, dict) else None
    return arm.get("fusion") or (method if _gives_latents(method) else None)


def _gives_latents(method: object) -> bool:
    """Whether there is a registration of that name that gives latents."""
    there = method in registrations.__all__
    # Not everything of the package is a method; whoever looks the method up says so.
    return there and getattr(getattr(registrations, method), "gives_latents", False)


def load_experiment(path: str | os.PathLike) -> Experiment:
    """Read an experiment file.

    Raises
    ------
    InputError
        One line that names the file, the key, what was found and what is allowed.
    """
    return parse_experiment(read_experiment_text(path), path)


def read_experiment_text(path: str | os.PathLike) -> str:
    """Read an experiment file as text, or raise an InputError naming it."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an experiment (TOML)")
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected an experiment (TOML)") from error


def parse_experiment(text: str, path: str | os.PathLike) -> Experiment:
    """Check an experiment's text; `path` is what errors name."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_line(error)}") from error


def _first_line(error: ValidationError) -> str:
    """Say in one line what is wrong first, and how much more there is."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"])) or "experiment"
    if first["type"] == "extra_forbidden":
        allowed = _allowed_keys(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), allowed, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        line = f"unknown key '{key}'{hint} (allowed: {', '.join(allowed)})"
    elif first["type"] == "missing":
        line = f"key '{key}' is missing"
    elif first["type"] == "value_error":
        line = f"{key}: {first['ctx']['error']}"
    else:
        line = f"{key} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = error.error_count() - 1
    return line + (f" (and {more} more)" if more else "")


def _allowed_keys(location: tuple) -> list[str]:
    """Keys of the table at a location such as ("arms", "native")."""
    table: Any = Experiment
    for step in location:
        if get_origin(table) is dict:
            table = get_args(table)[1]
            continue
        annotation = table.model_fields[step].annotation
        choices = [a for a in get_args(annotation) if a is not type(None)]
        table = choices[0] if get_origin(annotation) is UnionType else annotation
    return list(table.model_fields)
