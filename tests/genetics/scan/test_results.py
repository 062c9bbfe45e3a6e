"""What a whole run tells by its options: tables, loci, summaries, refusals."""

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.genetics.analyses import CORRECTED
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.trait_gwas import run_univariate_gwas
from regreveal.store.embedding import Embedding
from tests.genetics.scan.study import PEOPLE, bim, gwas, read, write_study


def test_top_writes_only_small_p_values_and_loses_no_locus(study):
    everything = gwas(study, "all", per_dimension=True)
    top = gwas(study, "top", per_dimension=True, top=0.01)
    whole, part = (read(result.tables["manova"]) for result in (everything, top))
    pd.testing.assert_frame_equal(
        part, whole[whole[CORRECTED] > 2].reset_index(drop=True), check_dtype=False
    )
    pd.testing.assert_frame_equal(top.loci, everything.loci)
    assert top.summary["lambda_gc"] == everything.summary["lambda_gc"]
    dimension = read(study[0] / "top/dimensions/latent_0.tsv.gz")
    assert 0 < len(dimension) < 20
    assert (dimension["neg_log_10_p_value"] > 2).all()


def test_the_smallest_p_is_tested_too_and_its_overlap_told(study):
    result = gwas(study, minimum_p=True, permutations=500)
    table = read(result.tables["manova"]).set_index("variant_id")
    assert table.loc["rs60", "min_p_dimension"] == "latent_0"
    assert table.loc["rs160", "min_p_dimension"] == "latent_1"
    assert table["minp_permutation_neg_log10_p"].max() == pytest.approx(np.log10(501))
    told = result.summary["minimum_p"]
    assert told["overlap_with_joint_test"]["loci"] == {"joint_only": 0, "minp_only": 0, "both": 2}
    assert 3 < told["effective_dimensions"] <= 4


def test_loco_predictions_are_subtracted_chromosome_by_chromosome(study):
    folder, bed, covariates = study
    rng = np.random.default_rng(5)
    latents = Embedding.read(folder / "embedding.parquet").latents.astype(float)
    predictions = {name: rng.normal(0, 0.5, (4, 300)) for name in ("1", "2", "10", "23")}
    for dimension in range(4):
        lines = ["FID_IID " + " ".join(f"{name}_{name}" for name in PEOPLE)]
        for chromosome, values in predictions.items():
            lines.append(f"{chromosome} " + " ".join(f"{v:.17g}" for v in values[dimension]))
        (folder / f"step1_{dimension + 1}.loco").write_text("\n".join(lines) + "\n")
    (folder / "step1_pred.list").write_text(
        "".join(f"latent_{d} {folder / f'step1_{d + 1}.loco'}\n" for d in range(4))
    )
    result = gwas(study, transform="none", loco=folder / "step1_pred.list")
    assert "relatedness" not in result.summary
    table = read(result.tables["manova"]).set_index("variant_id")
    age = covariates[["age"]].to_numpy()
    basis = np.linalg.qr(np.column_stack([np.ones(300), age]))[0]
    rest = latents - basis @ (basis.T @ latents)
    scale = np.linalg.norm(rest, axis=0) / np.sqrt(300 - 2)
    genotypes = open_genotypes(bed)
    for row, chromosome in ((10, "1"), (60, "2"), (120, "10")):
        adjusted = rest - scale * predictions[chromosome].T
        expected = LatentSpace(adjusted, age).test(genotypes.dosages([row]), minimum_count=20)
        assert table.loc[f"rs{row}", "neg_log10_p"] == pytest.approx(
            expected["neg_log10_p"][0], rel=1e-8
        )


def test_confounders_are_projected_out_and_the_table_says_how_well(study):
    result = gwas(study, project_out_columns=["sex"])
    report = pd.read_csv(study[0] / "out/nullspace.tsv", sep="\t").set_index("confounder")
    assert report.loc["sex", "before"] > 0.6 > report.loc["sex", "after"]
    assert result.summary["settings"]["dimensions"] in (2, 3)  # a dimension a pass
    assert result.summary["settings"]["projected_out"] == ["sex"]
    assert result.summary["settings"]["covariates"] == ["age"]


def test_relatives_are_told(study):
    told = gwas(study).summary["relatedness"]
    assert told["participants"] == 300
    assert told["first_degree"] is None  # 200 variants are too few to tell


def test_haploid_and_filtered_chromosomes_ask_for_no_loco_predictions(tmp_path):
    rng = np.random.default_rng(9)
    variants = bim(["1", "2", "GL000191.1", "Y", "MT"], 1_000_000 * np.arange(1, 6))
    dosages = rng.binomial(2, 0.4, (5, 300)).astype(np.int8)
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 1)))
    header = "FID_IID " + " ".join(f"{name}_{name}" for name in PEOPLE)
    rows = [f"{c} " + " ".join(map(str, rng.normal(0, 0.1, 300))) for c in (1, 2)]
    (tmp_path / "one.loco").write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "pred.list").write_text(f"latent_0 {tmp_path / 'one.loco'}\n")
    chosen = VariantFilter(regions=[("1", 1, 10**9), ("2", 1, 10**9), ("Y", 1, 10**9)])
    options = {"loco": tmp_path / "pred.list"}
    with pytest.raises(InputError, match="no predictions for chromosome GL000191.1"):
        run_gwas(embedding, bed, None, tmp_path / "all", **options)
    result = run_gwas(embedding, bed, None, tmp_path / "out", variant_filter=chosen, **options)
    told = result.summary["variants"]
    assert (told["tested"], told["haploid_chromosome"], told["outside_regions"]) == (2, 1, 2)


@pytest.mark.parametrize("names", [["a", "a"], ["../a", "b"], ["", "b"]])
def test_traits_that_cannot_name_files_are_refused(study, names):
    traits = pd.DataFrame(np.random.default_rng(13).standard_normal((300, 2)), PEOPLE, names)
    with pytest.raises(InputError, match="cannot name a file of its own"):
        run_univariate_gwas(traits, study[1], None, study[0] / "traits")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criteria": ["lambda"]}, "criterion 'lambda'"),
        ({"top": 0}, "top 0: expected a p-value"),
        ({"sex_column": "gender"}, "no column 'gender'"),
        ({"project_out_columns": ["height"]}, "no column 'height'"),
        ({"loco": "nowhere.list"}, "nowhere.list"),
        ({"build": "hg19"}, "hg19"),
    ],
)
def test_bad_options_are_one_line(study, options, message):
    with pytest.raises(InputError, match=message) as error:
        gwas(study, **options)
    assert "\n" not in str(error.value)
    assert not (study[0] / "out/gwas.json").exists()


def test_a_lead_with_few_carriers_is_looked_at_by_permutation(tmp_path):
    """Latents that are far out together in few people make small groups significant."""
    rng = np.random.default_rng(14)
    latents = np.exp(rng.standard_normal((300, 8))) @ rng.standard_normal((8, 8))
    far_out = np.argsort(np.linalg.norm(latents - latents.mean(0), axis=1))[-20:]
    dosages = rng.binomial(2, 0.4, (3, 300)).astype(np.int8)
    dosages[1] = np.isin(np.arange(300), far_out)
    latents[:, 0] += 8 * dosages[2]
    variants = bim("1", 5_000_000 * np.arange(1, 4))
    embedding, bed = write_study(tmp_path, dosages, variants, latents)
    result = run_gwas(embedding, bed, None, tmp_path / "out", threshold=1e-3)
    loci = result.loci.set_index("variant_id")
    few = loci.loc["rs1"]
    assert few["neg_log10_p_permuted"] < few["neg_log10_p_corrected"]
    assert few["permuted_standard_error"] > 0 or few["permuted_at_least"]
    assert np.isfinite(loci.loc["rs2", "neg_log10_p_permuted"]) or loci.loc["rs2", "confirmed"]
    passes = ~(loci["neg_log10_p_permuted"] <= 3)
    assert list(loci["confirmed"]) == list(passes)
    assert result.summary["loci_not_confirmed"] == (~passes).sum()
