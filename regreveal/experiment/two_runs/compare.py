"""Two arms of two runs, compared: probes and PheWAS made anew and paired, GWAS side by side."""

import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from regreveal.comparison.arm_costs import arm_costs, describe_arm
from regreveal.comparison.runs import (
    ArmOfRun,
    Difference,
    check,
    common_targets,
    differ_by_few,
    same_variants,
    told_participants,
)
from regreveal.comparison.table2 import arm_results, as_table
from regreveal.errors import InputError
from regreveal.experiment.analyses import genome, phewas, probes, shared_loci
from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.arm_settings import Comparison
from regreveal.experiment.data import DataPaths, Dataset
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.experiment.two_runs.side import Side, choose_side, known_of, named_apart
from regreveal.report.two_runs import write_two_runs
from regreveal.store.cohort import write_table

NAME = "runs"  # of the comparison, in the folder that is written


def compare_runs(
    run_a: str | os.PathLike,
    run_b: str | os.PathLike,
    out: str | os.PathLike,
    *,
    arms: tuple[str | None, str | None] = (None, None),
    comparisons: tuple[str | None, str | None] = (None, None),
    baseline: str = "a",
    allowed: Collection[str] = (),
) -> Path:
    """Compare an arm of one run with an arm of another.

    Probes and PheWAS of both embeddings are made anew, in the folds and halves of the first run,
    so that differences are paired. The GWAS are those of the runs where the participants are the
    same; with `allowed` "participants", they too are made anew for those in both, with the settings
    and the data of the first run.

    Parameters
    ----------
    run_a, run_b : path-like
        Folders of finished runs. Nothing in them is changed.
    out : path-like
        A folder for comparison.tsv, comparison.tex, comparison.html, figures/ and comparisons/;
        new, or of an earlier comparison: what is done and unchanged is kept.
    arms, comparisons : tuple of str or None
        Of the first and the second run, see `choose_side`.
    baseline : {"a", "b"}
        Which run's arm the other is compared with.
    allowed : collection of str
        Differences to be told and not refused: keys of `regreveal.comparison.runs.OPTIONS`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        The runs cannot be read, or differ in something that is not allowed.
    """
    folders = [Path(run_a), Path(run_b)]
    sides = [
        choose_side(folder, arm, comparison, which)
        for folder, arm, comparison, which in zip(folders, arms, comparisons, "ab", strict=True)
    ]
    sides = list(named_apart(*sides))
    out = Path(out)
    _check_out(out, folders)
    data = _data_of(sides)
    known = [known_of(side, of_side) for side, of_side in zip(sides, data, strict=True)]
    found = check(*known, allowed)
    ordered = sides if baseline == "a" else sides[::-1]
    with Manifest(out, sides[0].experiment.seed) as manifest:
        compared = _compared(ordered, sides[0], known, data[0], manifest)
        asked = _analyse(compared, sides, known, found)
        rows = _rows(compared, ordered)
        manifest.forget_unused()
        notes, by_few = _notes(sides, known, found, asked, data), differ_by_few(*known)
        # While the folder is still locked.
        return write_two_runs(
            out, NAME, as_table(rows), compared.comparison.arms, asked, notes, by_few
        )


def _check_out(out: Path, runs: list[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; expected a folder for the comparison")
    if (out / "experiment.toml").exists():
        raise InputError(f"{out}: is the folder of a run; expected another for the comparison")
    there = {path.name for path in out.iterdir()} if out.exists() else set()
    if there - {".lock"} and "manifest.json" not in there:
        raise InputError(f"{out}: holds other files; expected a new folder for the comparison")
    for run in runs:
        if out.resolve().is_relative_to(run.resolve()):
            raise InputError(f"{out}: is in the run folder {run}; expected one outside it")


def _data_of(sides: list[Side]) -> list[DataPaths]:
    """Find the data of both runs; those of one stand for the other's where these are not here."""
    found, errors = [], []
    for side in sides:
        try:
            found.append(side.data())
        except InputError as error:
            found.append(None)
            errors.append(str(error))
    there = next((paths for paths in found if paths is not None), None)
    if there is None:
        raise InputError(f"the data of neither run are here: {errors[0]}")
    return [there if paths is None else paths for paths in found]


def _compared(
    ordered: list[Side],
    first: Side,
    known: list[ArmOfRun],
    data: DataPaths,
    manifest: Manifest,
) -> Compared:
    """Set two arms of two runs up as the analyses of one run take them."""
    both = set(known[0].participants) & set(known[1].participants)
    if not both:
        raise InputError(f"no participant is in both {known[0].name} and {known[1].name}")
    participants = first.participants[first.participants.index.isin(both)]
    # What was planted is the business of each run's own report.
    data = replace(data, true_traits=None, causal_variants=None)
    targets = common_targets(*known)
    baseline, against = (side.name for side in ordered)
    comparison = Comparison(baseline=baseline, against=against, targets=targets or None)
    experiment = _experiment(first.experiment, comparison)
    dataset = Dataset(data, manifest.folder / "arms", [], participants, simulated=False)
    compared = Compared(NAME, experiment, {s.name: s for s in ordered}, dataset, manifest)
    for side in ordered:
        manifest.run(side.stage("embed"), _nothing, outputs=[], files={"embedding": side.embedding})
    manifest.run(
        compared.stage("participants"),
        lambda: write_table(participants[["fold"]], compared.participants_file),
        outputs=[compared.participants_file],
        settings=participants.index.tolist(),
        files={side.name: _participants_file(side) for side in ordered},
        after=[side.stage("embed") for side in ordered],
    )
    return compared


def _experiment(experiment: Experiment, comparison: Comparison) -> Experiment:
    return experiment.model_copy(update={"comparisons": {NAME: comparison}})


def _participants_file(side: Side) -> Path:
    return side.run / "comparisons" / side.comparison / "participants.parquet"


def _nothing() -> None:
    """Stand for what another run has done."""


def _analyse(
    compared: Compared, sides: list[Side], known: list[ArmOfRun], found: list[Difference]
) -> list[str]:
    """Make or take over every analysis that both runs have; give their names."""
    asked = []
    anew = any(difference.kind == "participants" for difference in found)
    if compared.comparison.targets:
        asked.append("probes")
        probes.run_stages(compared)
    if all(one.gwas is not None for one in known):
        asked.append("gwas")
        if anew:
            genome.run_stages(compared)
            shared_loci.run_stages(compared)
        else:
            _take_over_gwas(compared, sides)
            _share_loci(compared, same_variants(*known))
    if all(one.phewas is not None for one in known):
        asked.append("phewas")
        phewas.run_stages(compared)
    if not asked:
        raise InputError(
            f"{sides[0].run} and {sides[1].run} have no analysis in common; expected probes with "
            "a target in both, or a GWAS or a PheWAS in both"
        )
    return asked


def _take_over_gwas(compared: Compared, sides: list[Side]) -> None:
    """Have what a run's GWAS found beside what the other's found."""
    for side in sides:
        source, target = side.analysis("gwas"), compared.folder / side.name / "gwas"
        compared.manifest.run(
            compared.stage(f"{side.name}/gwas"),
            partial(_link, source, target),
            outputs=[target],
            files={"gwas": source},
            after=[compared.stage("participants")],
        )


def _link(source: Path, target: Path) -> None:
    """Link a folder's files, which may be large; copy them where that cannot be."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if not file.is_file() or file.name.startswith("."):
            continue
        place = target / file.name
        place.unlink(missing_ok=True)
        try:
            os.link(file, place)
        except OSError:  # another file system
            shutil.copy2(file, place)


def _share_loci(compared: Compared, by_linkage: bool) -> None:
    """Set loci side by side; by their places alone where the arms' variants are not the same."""
    if by_linkage and compared.data.paths.genotypes:
        shared_loci.run_stages(compared)
        return
    from regreveal.comparison.loci import shared_loci as side_by_side
    from regreveal.genetics.loci import read_loci

    folders = {arm: compared.folder / arm / "gwas" for arm in compared.arms}
    output = compared.folder / "shared_loci.tsv"
    compared.manifest.run(
        compared.stage("shared loci"),
        lambda: write_table(
            side_by_side(
                {arm: read_loci(folder / "loci.tsv") for arm, folder in folders.items()},
                {arm: folder / "manova.tsv.gz" for arm, folder in folders.items()},
            ),
            output,
        ),
        outputs=[output],
        settings=["by place", *compared.arms],
        after=[compared.stage(f"{arm}/gwas") for arm in compared.arms],
    )


def _rows(compared: Compared, ordered: list[Side]) -> list[dict]:
    """Give the rows of Table 2: what was found here, what each arm is and took in its own run."""
    rows = []
    for side in ordered:
        described = side.described()
        knows, empty = arm_results(compared.folder, side.name)
        costs, unknown = arm_costs(side.manifest["stages"], described, side.arm, side.comparison)
        # What was planted, replication and seeds are the business of a run's own report.
        empty = {what: why for what, why in empty.items() if what in ("probes", "GWAS", "PheWAS")}
        told = "; ".join(f"{what}: {why}" for what, why in (empty | unknown).items())
        baseline = "" if side is ordered[0] else ordered[0].name
        place = {"comparison": NAME, "arm": side.name, "baseline": baseline}
        rows.append(place | describe_arm(described, side.arm) | knows | costs | {"empty": told})
    return rows


def _notes(
    sides: list[Side],
    known: list[ArmOfRun],
    found: list[Difference],
    asked: list[str],
    data: list[DataPaths],
) -> list[str]:
    """Say which runs these are, and in what they differ."""
    a = sides[0]
    told = [
        f"{side.name}: arm {side.arm} of the run in {side.run.resolve().name}, by RegReveal "
        f"{side.manifest['regreveal']}, seed {side.manifest['seed']}."
        for side in sides
    ]
    anew = any(difference.kind == "participants" for difference in found)
    people = told_participants(*known)
    if anew:
        told.append(
            f"Everything is of the {people} participants whom both runs have analysed, made anew "
            f"with the settings and data of {a.name}'s run."
        )
    else:
        told.append(f"Both runs have analysed the same {people} participants.")
    remade = {"probes": "probes in its folds", "phewas": "the PheWAS in its halves"}
    remade = [told for analysis, told in remade.items() if analysis in asked]
    if remade and not anew:
        told.append(
            f"Made anew of both arms, as in {a.name}'s run: {' and '.join(remade)}. Differences "
            "are paired, therefore, and results may differ from those in the runs' own reports."
        )
    told += [f"Told and not refused: {difference.told}." for difference in found]
    if found and not anew and any(difference.kind == "targets" for difference in found):
        told.append("Probes that are not alike in both runs are left out.")
    quality = [
        target
        for side, of in zip(sides, known, strict=True)
        if side.experiment.probes
        for target in side.experiment.targets_of(side.comparison)
        if target not in of.targets
    ]
    if quality:
        told.append(
            f"Left out, as figures of one run's registration: {', '.join(dict.fromkeys(quality))}."
        )
    for analysis, name in (("gwas", "GWAS"), ("phewas", "PheWAS"), ("probes", "probes")):
        having = [s.name for s in sides if getattr(s.experiment, analysis)]
        if len(having) == 1:
            told.append(f"Not compared, since only {having[0]}'s run has it: {name}.")
    if data[0] is data[1]:
        told.append("The data of one run were not here; those of the other stand for both.")
    return told
