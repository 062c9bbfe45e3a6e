"""The latent GWAS of a comparison, as a run left it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.genetics.output.plot_points import PlotPoints
from regreveal.report.folder.reading import read_json, read_tsv, tsv_parts

_DECIDING = {"neg_log10_p_corrected": "neg_log10_p"}
_LOCI = (
    "chromosome variant_id position ref alt alt_frequency neg_log10_p_corrected n_variants "
    "nearest_gene"
)


@dataclass(frozen=True)
class ArmGwas:
    """One arm's latent GWAS: what its plots show of the variants, its loci, and `gwas.json`."""

    points: PlotPoints
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
        points=_read_points(folder / "manova.tsv.gz"),
        loci=read_tsv(folder / "loci.tsv", _LOCI).rename(columns=_DECIDING),
        description=read_json(
            folder / "gwas.json", "settings", "participants", "variants", "lambda_gc"
        ),
    )


def _read_points(path: Path) -> PlotPoints:
    """Read what plots show of a table that may have tens of millions of rows."""
    points = PlotPoints()
    columns = "chromosome position neg_log10_p_corrected"
    for part in tsv_parts(path, columns, {"chromosome": "category"}):
        for chromosome, rows in part.groupby("chromosome", observed=True, sort=False):
            points.add(
                chromosome, rows["position"].to_numpy(), rows["neg_log10_p_corrected"].to_numpy()
            )
    return points


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
