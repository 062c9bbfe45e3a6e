"""The latent GWAS of a comparison, as a run left it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_json, read_tsv

_DECIDING = {"neg_log10_p_corrected": "neg_log10_p"}
_LOCI = (
    "chromosome variant_id position ref alt alt_frequency neg_log10_p_corrected n_variants "
    "nearest_gene"
)


@dataclass(frozen=True)
class ArmGwas:
    """One arm's latent GWAS: every variant's place and p-value, its loci, and `gwas.json`."""

    variants: pd.DataFrame
    loci: pd.DataFrame
    description: dict


@dataclass(frozen=True)
class Truth:
    """Planted variants and which arms found them, and the counts by arm."""

    variants: pd.DataFrame
    summary: pd.DataFrame


def read_gwas(folder: Path) -> ArmGwas:
    """Read an arm's GWAS from its folder."""
    return ArmGwas(
        variants=read_tsv(
            folder / "manova.tsv.gz",
            "chromosome position neg_log10_p_corrected",
            only=True,
            dtype={"chromosome": "category"},
        ).rename(columns=_DECIDING),
        loci=read_tsv(folder / "loci.tsv", _LOCI).rename(columns=_DECIDING),
        description=read_json(
            folder / "gwas.json", "settings", "participants", "variants", "lambda_gc"
        ),
    )


def read_truth(folder: Path, arms: Sequence[str]) -> Truth | None:
    """Read what a comparison's arms found of what was planted; None where nothing was."""
    if not (folder / "truth.tsv").exists():
        return None
    seen_by = " ".join(f"{arm} neg_log10_p_{arm}" for arm in ("oracle", *arms))
    return Truth(
        variants=read_tsv(
            folder / "truth.tsv",
            f"variant_id chromosome position gene trait variance_explained {seen_by}",
        ),
        summary=read_tsv(
            folder / "truth_summary.tsv", "arm planted found missed false share_of_oracle"
        ),
    )
