"""The stages of one comparison: what two latent spaces know of the same participants."""

from regreveal.errors import InputError
from regreveal.experiment.analyses import (
    clusters,
    directions,
    genome,
    phewas,
    probes,
    recurrence,
    replication,
    shared_loci,
)
from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.arms import ArmStages
from regreveal.experiment.data import Dataset
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding


def run_comparison(
    name: str,
    experiment: Experiment,
    arms: dict[str, ArmStages],
    data: Dataset,
    manifest: Manifest,
) -> None:
    """Choose the participants and make every analysis the experiment has a table for, each once.

    Parameters
    ----------
    name : str
    experiment : Experiment
    arms : dict of str to ArmStages
        Every arm of the experiment, embedded.
    data : Dataset
    manifest : Manifest
    """
    compared = Compared(name, experiment, arms, data, manifest)
    manifest.run(
        compared.stage("participants"),
        lambda: _write_participants(compared),
        outputs=[compared.participants_file],
        after=[*data.stages, *(arm.stage("embed") for arm in compared.arms.values())],
    )
    if experiment.probes:
        probes.run_stages(compared)
    if experiment.gwas:
        genome.run_stages(compared)
        shared_loci.run_stages(compared)
    if experiment.replication:
        replication.run_stages(compared)
    if experiment.recurrence:
        recurrence.run_stages(compared)
    if experiment.clusters:
        clusters.run_stages(compared)
    if experiment.phewas:
        phewas.run_stages(compared)
    if experiment.directions:
        directions.run_stages(compared)


def _write_participants(compared: Compared) -> None:
    """Keep the analysis participants whom every arm has embedded, with their fold."""
    embedded = [set(Embedding.read(arm.embedding).sample_ids) for arm in compared.arms.values()]
    splits = compared.data.splits
    chosen = splits.index[splits["split"] == "analysis"]
    chosen = [i for i in chosen if all(i in ids for ids in embedded)]
    if not chosen:
        raise InputError(
            f"comparisons.{compared.name}: no analysis participant has both "
            f"{' and '.join(compared.arms)}"
        )
    write_table(splits.loc[chosen, ["fold"]], compared.participants_file)
