"""The stages of one comparison: what two latent spaces know of the same participants."""

from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.arms import ArmStages
from regreveal.experiment.data import Dataset
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import run_gwas, run_univariate_gwas
from regreveal.genetics.loci import compare_with_truth, read_genes, read_loci
from regreveal.store.cohort import read_table, write_table
from regreveal.store.embedding import Embedding

ORACLE = "oracle"


class ComparisonStages:
    """What is done for one comparison, each stage once.

    Parameters
    ----------
    name : str
    experiment : Experiment
    arms : dict of str to ArmStages
        Every arm of the experiment, embedded.
    data : Dataset
    manifest : Manifest
    """

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        arms: dict[str, ArmStages],
        data: Dataset,
        manifest: Manifest,
    ):
        self.name = name
        self.experiment = experiment
        self.comparison = experiment.comparisons[name]
        self.arms = {arm: arms[arm] for arm in self.comparison.arms}
        self.all_arms = arms
        self.targets = experiment.targets_of(name) if experiment.probes else []
        self.modalities = {arm.first_map.modality for arm in self.arms.values()}
        self.data, self.manifest = data, manifest
        self.folder = manifest.folder / "comparisons" / name
        self.participants_file = self.folder / "participants.parquet"

    def run(self) -> None:
        """Choose the participants and make every analysis the experiment has a table for."""
        self._choose_participants()
        if self.experiment.probes:
            self._probe()
        if self.experiment.gwas:
            for arm in self.arms:
                self._gwas(arm)
                if self.experiment.clusters:
                    self._cluster(arm)
            if self.data.paths.true_traits and self.data.paths.causal_variants:
                self._oracle()
                self._compare_with_truth()
        if self.experiment.phewas:
            for arm in self.arms:
                self._phewas(arm)

    def _stage(self, step: str) -> str:
        return f"comparisons/{self.name}/{step}"

    def _embedded(self, *arms: str) -> list[str]:
        """Name the stages whose embeddings, for these participants, an analysis reads."""
        embedded = [self.all_arms[arm].stage("embed") for arm in arms]
        return [*self.data.stages, *embedded, self._stage("participants")]

    def _choose_participants(self) -> None:
        """Keep the analysis participants whom every arm has embedded, with their fold."""
        self.manifest.run(
            self._stage("participants"),
            self._write_participants,
            outputs=[self.participants_file],
            after=[*self.data.stages, *(arm.stage("embed") for arm in self.arms.values())],
        )
        self.participants = read_table(self.participants_file)

    def _write_participants(self) -> None:
        embedded = [set(Embedding.read(arm.embedding).sample_ids) for arm in self.arms.values()]
        splits = self.data.splits
        chosen = splits.index[splits["split"] == "analysis"]
        chosen = [i for i in chosen if all(i in ids for ids in embedded)]
        if not chosen:
            raise InputError(
                f"comparisons.{self.name}: no analysis participant has both "
                f"{' and '.join(self.arms)}"
            )
        write_table(splits.loc[chosen, ["fold"]], self.participants_file)

    def _probe(self) -> None:
        settings = self.experiment.probes
        of_arms = [target.split(".")[0] for target in self.targets if "." in target]
        names = ("probes.tsv", "probe_differences.tsv", "probe_means.tsv")
        outputs = [self.folder / name for name in names]
        self.manifest.run(
            self._stage("probes"),
            lambda: self._write_probes(*outputs),
            outputs=outputs,
            settings=[self.targets, settings.categories, self.comparison.model_dump()],
            files=self.data.files("phenotypes", "cohort"),
            after=self._embedded(*{*self.arms, *(a for a in of_arms if a in self.all_arms)}),
        )

    def _write_probes(self, *files: Path) -> None:
        from regreveal.phenome.probes import run_probes

        categories = [c for c in self.experiment.probes.categories if c in self.targets]
        tables = run_probes(
            {name: self._latents(name) for name in self.arms},
            self._probe_targets(),
            self.participants["fold"],
            baseline=self.comparison.baseline,
            kinds=dict.fromkeys(categories, "category"),
        )
        for table, file in zip(tables, files, strict=True):
            write_table(table, file)

    def _latents(self, arm: str):
        return Embedding.read(self.arms[arm].embedding).select(self.participants.index)

    def _probe_targets(self) -> pd.DataFrame:
        """Gather the targets' values, missing where a participant has none."""
        files = self.data.paths.files("phenotypes", "cohort")
        tables = [read_table(path) for path in files.values()]
        values = {}
        for target in self.targets:
            holding = [table for table in tables if target in table]
            values[target] = holding[0][target] if holding else self._quality_figure(target)
        return pd.DataFrame(values).reindex(self.participants.index)

    def _quality_figure(self, target: str) -> pd.Series:
        """Find a target such as "registered.heart_rate" in that arm's quality figures."""
        arm, column = target.split(".", 1)
        quality = read_table(self.all_arms[arm].folder / "qc.parquet")
        if column not in quality:
            raise InputError(
                f"probes.targets: '{target}': the registration of '{arm}' has no figure "
                f"'{column}' (it has: {', '.join(quality.columns)})"
            )
        return quality[column]

    def _gwas(self, arm: str) -> None:
        settings = self.experiment.gwas
        covariates = self._covariates([*settings.covariates, *settings.project_out])
        folder = self.folder / arm / "gwas"
        self.manifest.run(
            self._stage(f"{arm}/gwas"),
            lambda: run_gwas(
                self.arms[arm].embedding,
                self.data.paths.genotypes,
                covariates,
                folder,
                covariate_columns=settings.covariates,
                participants=self.participants.index,
                genes=self._genes(),
                coding=settings.coding,
                transform=settings.transform,
                project_out_columns=settings.project_out,
                variant_filter=VariantFilter(minimum_maf=settings.minimum_maf),
                per_dimension=settings.per_dimension,
            ),
            outputs=[folder],
            settings=settings.model_dump(),
            files=self.data.files("genotypes", "cohort", "genes"),
            after=self._embedded(arm),
        )

    def _oracle(self) -> None:
        """Run a GWAS on the true traits that these recordings show: what could be found at all."""
        settings = self.experiment.gwas
        folder = self.folder / ORACLE
        self.manifest.run(
            self._stage("oracle"),
            lambda: run_univariate_gwas(
                read_table(self.data.paths.true_traits)[self._planted()["trait"].unique()],
                self.data.paths.genotypes,
                self._covariates(settings.covariates),
                folder,
                covariate_columns=settings.covariates,
                participants=self.participants.index,
                genes=self._genes(),
            ),
            outputs=[folder],
            settings=[settings.covariates, sorted(self.modalities)],
            files=self.data.files("genotypes", "cohort", "genes", "true_traits", "causal_variants"),
            after=[*self.data.stages, self._stage("participants")],
        )

    def _compare_with_truth(self) -> None:
        outputs = [self.folder / "truth.tsv", self.folder / "truth_summary.tsv"]
        self.manifest.run(
            self._stage("truth"),
            lambda: self._write_truth(*outputs),
            outputs=outputs,
            settings=sorted(self.modalities),
            files=self.data.files("causal_variants"),
            after=[
                self._stage("oracle"),
                *(self._stage(f"{arm}/gwas") for arm in self.arms),
            ],
        )

    def _planted(self) -> pd.DataFrame:
        """Read the planted variants of the traits that the arms' modalities show."""
        planted = _read_causal_variants(self.data.paths.causal_variants)
        return planted[planted["modality"].isin(self.modalities)]

    def _write_truth(self, truth_file: Path, summary_file: Path) -> None:
        """Compare with the truth: a locus that is near no planted variant of any trait is false."""
        causal = _one_row_a_variant(self._planted())
        everything = _one_row_a_variant(_read_causal_variants(self.data.paths.causal_variants))
        rows, by_oracle = [], set()
        for name, folder in self._gwas_folders().items():
            loci = read_loci(folder / "loci.tsv")
            found = set(compare_with_truth(loci, causal).found["variant_id"])
            false = compare_with_truth(loci, everything).false
            causal[name] = causal["variant_id"].isin(found)
            places = pd.MultiIndex.from_frame(causal[["chromosome", "position"]])
            causal[f"neg_log10_p_{name}"] = _best_p(folder).reindex(places).to_numpy()
            by_oracle = found if name == ORACLE else by_oracle
            share = len(found & by_oracle) / len(by_oracle) if by_oracle else np.nan
            missed = len(causal) - len(found)
            rows.append((name, len(causal), len(found), missed, len(false), share))
        columns = ["arm", "planted", "found", "missed", "false", "share_of_oracle"]
        summary = pd.DataFrame(rows, columns=columns)
        write_table(causal, truth_file)
        write_table(summary, summary_file)

    def _gwas_folders(self) -> dict[str, Path]:
        """Give the oracle's GWAS and, after it, those of the arms."""
        of_arms = {arm: self.folder / arm / "gwas" for arm in self.arms}
        return {ORACLE: self.folder / ORACLE, **of_arms}

    def _cluster(self, arm: str) -> None:
        """Cluster an arm's lead variants, where it has at least two."""
        loci = read_loci(self.folder / arm / "gwas" / "loci.tsv")
        if len(loci) < 2:
            return
        folder = self.folder / arm / "clusters"
        self.manifest.run(
            self._stage(f"{arm}/clusters"),
            lambda: self._write_clusters(arm, loci, folder),
            outputs=[folder],
            settings=[self.experiment.clusters.model_dump(), self.experiment.seed],
            after=[self._stage(f"{arm}/gwas")],
        )

    def _write_clusters(self, arm: str, loci: pd.DataFrame, folder: Path) -> None:
        from regreveal.genetics.clusters import cluster_variants
        from regreveal.genetics.matching import match_participants

        genotypes = open_genotypes(self.data.paths.genotypes)
        embedding = Embedding.read(self.arms[arm].embedding)
        covariates = self.experiment.gwas.covariates
        matched = match_participants(
            embedding.sample_ids,
            genotypes.samples,
            self._covariates(covariates),
            covariates,
            self.participants.index,
        )
        # Unsigned: which allele a file calls the alternate one is arbitrary.
        cluster_variants(
            embedding.select(matched.sample_ids),
            genotypes.dosages(loci["row"].to_numpy(int), matched.sample_ids),
            loci["variant_id"],
            loci["nearest_gene"],
            matched.covariates,
            signed=False,
            bootstraps=self.experiment.clusters.bootstraps,
            seed=self.experiment.seed,
        ).write(folder)

    def _phewas(self, arm: str) -> None:
        settings = self.experiment.phewas
        folder = self.folder / arm / "phewas"
        self.manifest.run(
            self._stage(f"{arm}/phewas"),
            lambda: self._write_phewas(arm, folder),
            outputs=[folder],
            settings=[settings.model_dump(), self.experiment.seed],
            files=self.data.files("diagnoses", "phecodes", "phecode_info", "cohort"),
            after=self._embedded(arm),
        )

    def _write_phewas(self, arm: str, folder: Path) -> None:
        from regreveal.phenome.phewas import run_phewas

        run_phewas(
            Embedding.read(self.arms[arm].embedding),
            self.participants.index,
            read_table(self.data.paths.cohort),
            self.experiment.phewas.covariates,
            self.data.paths.diagnoses,
            self.data.paths.phecodes,
            self.data.paths.phecode_info,
            folder,
            seed=self.experiment.seed,
        )

    def _genes(self) -> pd.DataFrame | None:
        return read_genes(self.data.paths.genes) if self.data.paths.genes else None

    def _covariates(self, columns: list[str]) -> pd.DataFrame | None:
        return read_table(self.data.paths.cohort) if columns else None


def _read_causal_variants(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype={"chromosome": str})


def _one_row_a_variant(rows: pd.DataFrame) -> pd.DataFrame:
    """Planted variants; one that moves several traits names them all, the strongest first."""
    rows = rows.sort_values("variance_explained", ascending=False)
    traits = rows.groupby("variant_id")["trait"].agg(", ".join)
    causal = rows.drop_duplicates("variant_id").sort_index()
    return causal.assign(trait=causal["variant_id"].map(traits))


def _best_p(folder: Path) -> pd.Series:
    """Each place's largest −log10 p over the tables of a GWAS, by chromosome and position.

    Not by id: GWAS-SSF has its own.
    """
    names = {
        "base_pair_location": "position",
        "neg_log10_p_corrected": "neg_log10_p",
        "neg_log_10_p_value": "neg_log10_p",
    }
    wanted = {"chromosome", "position", *names}
    tables = [
        pd.read_csv(path, sep="\t", usecols=lambda name: name in wanted, dtype={"chromosome": str})
        for path in sorted(folder.glob("*.tsv.gz"))
    ]
    together = pd.concat([table.rename(columns=names) for table in tables])
    return together.groupby(["chromosome", "position"])["neg_log10_p"].max()
