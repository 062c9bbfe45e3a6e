"""Which arm of a finished run is compared with another run's, and what is known of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from regreveal.comparison.arm_costs import read_arm
from regreveal.comparison.runs import ArmOfRun
from regreveal.errors import InputError
from regreveal.experiment.data import DataPaths
from regreveal.experiment.experiment_file import load_experiment
from regreveal.experiment.settings import Experiment
from regreveal.report.folder.reading import read_json
from regreveal.store.cohort import read_table
from regreveal.tensormap import TensorMap, find_tensor_map


@dataclass(frozen=True)
class Side:
    """One of the two arms compared, with the run it is of.

    It stands where the analyses of a comparison expect an arm: it has an embedding.

    Parameters
    ----------
    run : Path
        The folder.
    arm, comparison : str
        The arm, and the comparison of its run that says who was analysed.
    name : str
        What the arm is called here; the arm's own name unless both have the same.
    experiment : Experiment
    manifest : mapping
    participants : DataFrame
        `fold`, indexed by sample id.
    """

    run: Path
    arm: str
    comparison: str
    name: str
    experiment: Experiment
    manifest: Mapping
    participants: pd.DataFrame

    @property
    def folder(self) -> Path:
        """Where the arm's files are."""
        return self.run / "arms" / self.arm

    @property
    def embedding(self) -> Path:
        """The arm's embedding."""
        return self.folder / "embedding.parquet"

    @property
    def first_map(self) -> TensorMap:
        """What the arm's tensors were first of all."""
        first = self.experiment.first_input(self.arm)
        return find_tensor_map(first, self.experiment.tensormaps)

    def stage(self, step: str) -> str:
        """Name a step of the arm in the manifest of what is made here."""
        return f"arms/{self.name}/{step}"

    def analysis(self, name: str) -> Path:
        """Where the run left an analysis of the arm, such as "gwas"."""
        return self.run / "comparisons" / self.comparison / self.arm / name

    def described(self) -> dict[str, dict]:
        """Every arm of the run, as Table 2 describes them."""
        return {name: read_arm(self.run / "arms" / name) for name in self.experiment.arms}

    def data(self) -> DataPaths:
        """Where the run's data are.

        Raises
        ------
        InputError
            They are not here.
        """
        if self.experiment.data.simulate:
            return DataPaths.of_folder(self.run / "data")
        return DataPaths.of_settings(self.experiment.data)


def choose_side(run: Path, arm: str | None, comparison: str | None, which: str) -> Side:
    """Find the arm to compare in a finished run.

    Parameters
    ----------
    run : Path
        The run folder.
    arm : str or None
        None in a run of one comparison: then the arm that it compares with its baseline.
    comparison : str or None
        Needed where the arm stands in several comparisons of other participants.
    which : {"a", "b"}
        For errors, that name the option.

    Raises
    ------
    InputError
        It is no finished run, or has no such arm or comparison, or several.
    """
    if not (run / "experiment.toml").is_file():
        raise InputError(f"{run}: no experiment.toml; expected the folder of a run")
    experiment = load_experiment(run / "experiment.toml")
    manifest = read_json(run / "manifest.json", "regreveal", "versions", "seed", "stages")
    unfinished = [name for name, stage in manifest["stages"].items() if not stage["finished"]]
    if unfinished:
        raise InputError(
            f"{run}: stage '{unfinished[0]}' has not finished; let `regreveal run` go on first"
        )
    there = {
        name: its
        for name, its in experiment.comparisons.items()
        if comparison in (None, name) and (arm is None or arm in its.arms)
    }
    if not there:
        arms = sorted({arm for its in experiment.comparisons.values() for arm in its.arms})
        wanted = f"arm '{arm}'" if arm else "arm"
        where = f"comparison '{comparison}'" if comparison else "comparison"
        raise InputError(
            f"{run}: no {wanted} in a {where} of it (comparisons: "
            f"{', '.join(experiment.comparisons) or 'none'}; arms in them: "
            f"{', '.join(arms) or 'none'})"
        )
    if arm is None and len(there) > 1:
        raise InputError(
            f"{run}: has {len(there)} comparisons ({', '.join(there)}); name an arm with "
            f"--arm-{which}"
        )
    participants = {name: _read_participants(run, name) for name in there}
    first = next(iter(there))
    if any(set(other.index) != set(participants[first].index) for other in participants.values()):
        raise InputError(
            f"{run}: arm '{arm}' is in {len(there)} comparisons of other participants "
            f"({', '.join(there)}); name one with --comparison-{which}"
        )
    chosen = arm or there[first].against
    return Side(run, chosen, first, chosen, experiment, manifest, participants[first])


def named_apart(first: Side, second: Side) -> tuple[Side, Side]:
    """Give two arms of the same name other names."""
    if first.name != second.name:
        return first, second
    return replace(first, name=f"{first.arm}_A"), replace(second, name=f"{second.arm}_B")


def known_of(side: Side, data: DataPaths) -> ArmOfRun:
    """Read what has to be alike in two runs.

    Parameters
    ----------
    side : Side
    data : DataPaths
        Where the phenotypes are.
    """
    experiment = side.experiment
    gwas = side.analysis("gwas") if experiment.gwas else None
    phewas = side.analysis("phewas") if experiment.phewas else None
    probes = experiment.probes.model_dump() if experiment.probes else {}
    return ArmOfRun(
        name=side.name,
        participants=side.participants.index,
        latent_size=json.loads((side.folder / "model/model.json").read_text())["latent_size"],
        targets=_targets(side, data) if experiment.probes else pd.DataFrame(),
        probes={name: value for name, value in probes.items() if name != "targets"},
        gwas=read_json(gwas / "gwas.json", "settings", "participants") if gwas else None,
        variants=_read_variants(gwas / "manova.tsv.gz") if gwas else None,
        phewas=experiment.phewas.model_dump() if phewas else None,
        phecodes=_read_phecodes(phewas / "phewas.tsv") if phewas else None,
    )


def _read_participants(run: Path, comparison: str) -> pd.DataFrame:
    return read_table(run / "comparisons" / comparison / "participants.parquet")


def _targets(side: Side, data: DataPaths) -> pd.DataFrame:
    """Read the values of what an arm's comparison probes, missing where there is none."""
    tables = [read_table(path) for path in data.files("phenotypes", "cohort").values()]
    values = {}
    for target in side.experiment.targets_of(side.comparison):
        holding = [table for table in tables if target in table]
        if not holding:  # a figure of quality, which belongs to one run's registration
            continue
        values[target] = holding[0][target]
    return pd.DataFrame(values).reindex(side.participants.index)


def _read_variants(file: Path) -> pd.DataFrame:
    columns = ["chromosome", "position", "ref", "alt", "alt_frequency"]
    types = {"chromosome": "category", "ref": "category", "alt": "category"}
    return pd.read_csv(file, sep="\t", usecols=columns, dtype=types)


def _read_phecodes(file: Path) -> pd.DataFrame:
    columns = ["phecode", "n_cases", "n_controls"]
    return pd.read_csv(file, sep="\t", usecols=columns, dtype={"phecode": str})
