"""The stages of one comparison: what two latent spaces know of the same participants."""

from functools import partial

from regreveal.errors import InputError
from regreveal.experiment.analyses import (
    clusters,
    genome,
    phewas,
    probes,
    recurrence,
    replication,
    shared_loci,
)
from regreveal.experiment.analyses.compared import Compared
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding


def choose_participants(compared: Compared) -> None:
    """Settle whom a comparison analyses: the same people in both arms."""
    compared.manifest.run(
        compared.stage("participants"),
        partial(_write_participants, compared),
        outputs=[compared.participants_file],
        after=[
            *compared.data.stages,
            *(arm.stage("embed") for arm in compared.arms.values()),
        ],
    )


def analyse(compared: Compared) -> None:
    """Make every analysis that the experiment has a table for, but for what needs a network."""
    experiment = compared.experiment
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
