"""How many loci an arm finds again when its autoencoder is trained with other seeds."""

from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.comparison.likeness import canonical_correlations, linear_cka
from regreveal.comparison.loci import SUGGESTIVE, count_recurring, jaccard, recurring_loci
from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.analyses.genome import matched_genotypes, scan_options
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.loci import read_loci
from regreveal.store.atomic import write_json
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding

FILES = ("recurrence.tsv", "recurrence_pairs.tsv", "recurrence.json")


def run_stages(compared: Compared) -> None:
    """Scan the genome with each further seed of either arm, and set their loci side by side."""
    for arm, stages in compared.arms.items():
        if not stages.further_seeds:
            continue
        for seed in stages.further_seeds:
            _scan(compared, arm, seed)
        outputs = [compared.folder / arm / name for name in FILES]
        seeds = [stages.seed, *stages.further_seeds]
        compared.manifest.run(
            compared.stage(f"{arm}/recurrence"),
            partial(_write, compared, arm, seeds, *outputs),
            outputs=outputs,
            settings=seeds,
            after=[
                *compared.embedded(arm),
                *(stages.stage("embed", seed) for seed in stages.further_seeds),
                *(_stage(compared, arm, seed) for seed in seeds),
            ],
        )


def _stage(compared: Compared, arm: str, seed: int) -> str:
    own = seed == compared.arms[arm].seed
    return compared.stage(f"{arm}/gwas" if own else f"{arm}/seeds/{seed}/gwas")


def _folder(compared: Compared, arm: str, seed: int) -> Path:
    own = seed == compared.arms[arm].seed
    return compared.folder / arm / ("gwas" if own else f"seeds/{seed}/gwas")


def _scan(compared: Compared, arm: str, seed: int) -> None:
    folder = _folder(compared, arm, seed)
    compared.manifest.run(
        _stage(compared, arm, seed),
        partial(_write_scan, compared, arm, seed, folder),
        outputs=[folder],
        settings=compared.experiment.gwas.model_dump(),
        files=compared.data.files("genotypes", "cohort", "genes"),
        after=[
            *compared.data.stages,
            compared.arms[arm].stage("embed", seed),
            compared.stage("participants"),
        ],
    )


def _write_scan(compared: Compared, arm: str, seed: int, folder: Path) -> None:
    run_gwas(
        compared.arms[arm].embedding_of(seed),
        compared.data.paths.genotypes,
        folder=folder,
        participants=compared.participants.index,
        top=SUGGESTIVE,
        examine=False,
        **scan_options(compared),
    )


def _write(
    compared: Compared, arm: str, seeds: list[int], loci_file: Path, pairs_file: Path, summary: Path
) -> None:
    folders = {seed: _folder(compared, arm, seed) for seed in seeds}
    loci = {seed: read_loci(folder / "loci.tsv") for seed, folder in folders.items()}
    tables = {seed: folder / "manova.tsv.gz" for seed, folder in folders.items()}
    recurring = recurring_loci(loci, tables, *matched_genotypes(compared))
    people = compared.participants.index
    latents = {
        seed: Embedding.read(compared.arms[arm].embedding_of(seed)).select(people) for seed in seeds
    }
    pairs = [_alike(recurring, latents, *pair) for pair in combinations(seeds, 2)]
    numbers = [len(loci[seed]) for seed in seeds]
    told = {
        "seeds": seeds,
        "loci": dict(zip(map(str, seeds), numbers, strict=True)),
        "loci_mean": float(np.mean(numbers)),
        "loci_low": min(numbers),
        "loci_high": max(numbers),
        **{f"places_{name}": value for name, value in count_recurring(recurring, seeds).items()},
    }
    write_table(recurring, loci_file)
    write_table(pd.DataFrame(pairs), pairs_file)
    write_json(told, summary)


def _alike(
    recurring: pd.DataFrame, latents: dict[int, np.ndarray], first: int, second: int
) -> dict:
    """Say how alike two seeds are, in the loci that they find and in their latents."""
    found = recurring[f"found_{first}"].to_numpy(), recurring[f"found_{second}"].to_numpy()
    correlations = canonical_correlations(latents[first], latents[second])
    return {
        "seed": first,
        "other_seed": second,
        "both": int((found[0] & found[1]).sum()),
        "either": int((found[0] | found[1]).sum()),
        "jaccard": jaccard(*found),
        "linear_cka": linear_cka(latents[first], latents[second]),
        "mean_canonical_correlation": float(correlations.mean()),
        "least_canonical_correlation": float(correlations.min()),
    }
