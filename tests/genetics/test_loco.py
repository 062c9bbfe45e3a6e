import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.loco import read_loco_list, subtract
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.regenie import read_family_ids, write_regenie_inputs

# Layout: https://rgcgithub.github.io/regenie/options, "Predictions file format". Blanks end lines.
PEOPLE = ["10", "11", "12"]
NAMES = ["latent_0", "latent_1"]


def loco_text(values, ids=("10_10", "11_11", "12_12"), chromosomes=range(1, 24)):
    """Write values (chromosomes, people) as step 1 does."""
    lines = ["FID_IID " + " ".join(ids)]
    for chromosome, row in zip(chromosomes, values, strict=True):
        lines.append(f"{chromosome} " + " ".join(str(value) for value in row))
    return "".join(f"{line} \n" for line in lines)


@pytest.fixture
def run(tmp_path):
    """Write a step 1 run of two dimensions; give its list and its values by dimension."""
    values = np.random.default_rng(0).normal(size=(2, 23, 3)).round(5)
    for number, of_dimension in enumerate(values, start=1):
        (tmp_path / f"fit_{number}.loco").write_text(loco_text(of_dimension))
    path = tmp_path / "fit_pred.list"
    path.write_text("latent_0 fit_1.loco\nlatent_1 fit_2.loco\n")
    return path, values


def test_predictions_are_those_of_the_person_dimension_and_chromosome(run):
    path, values = run
    loco = read_loco_list(path)
    for chromosome in ("7", "1", "22"):
        given = loco.predictions(chromosome, ["12", "10"], NAMES[::-1])
        expected = values[::-1, int(chromosome) - 1][:, [2, 0]].T
        np.testing.assert_array_equal(given, expected)


def test_gzipped_files_read_alike(run):
    path, values = run
    for plain in path.parent.glob("*.loco"):
        plain.with_suffix(".loco.gz").write_bytes(gzip.compress(plain.read_bytes()))
    path.write_text("latent_0\tfit_1.loco.gz\r\nlatent_1\tfit_2.loco.gz\r\n")
    given = read_loco_list(path).predictions("3", PEOPLE, NAMES)
    np.testing.assert_array_equal(given, values[:, 2].T)


@pytest.mark.parametrize("name", ["23", "X", "chrX", "XY", "PAR1", "chr23"])
def test_x_is_the_23rd_row_by_any_name(run, name):
    path, values = run
    given = read_loco_list(path).predictions(name, PEOPLE, NAMES)
    np.testing.assert_array_equal(given, values[:, 22].T)


def test_mice_have_x_in_the_20th_row(run):
    path, values = run
    for number in (1, 2):
        text = loco_text(values[number - 1, :20], chromosomes=range(1, 21))
        (path.parent / f"fit_{number}.loco").write_text(text)
    given = read_loco_list(path, autosomes=19).predictions("X", PEOPLE, NAMES)
    np.testing.assert_array_equal(given, values[:, 19].T)


def test_relative_paths_are_of_the_working_directory_first_then_of_the_list(
    run, tmp_path, monkeypatch
):
    path, values = run
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    read = read_loco_list(path).predictions("1", PEOPLE, NAMES)
    np.testing.assert_array_equal(read, values[:, 0].T)
    (elsewhere / "fit_1.loco").write_text(loco_text(values[0] + 1))
    read = read_loco_list(path).predictions("1", PEOPLE, NAMES)
    np.testing.assert_array_equal(read, np.add(values[:, 0].T, [1, 0]))


@pytest.mark.parametrize(
    ("joined", "people", "columns"),
    [
        (["fam_1", "fam_2"], ["2", "1"], [1, 0]),
        (["0_a_b", "0_c"], ["a_b", "c"], [0, 1]),
        (["a_b_a_b", "x_y_z"], ["y_z", "a_b"], [1, 0]),
        # FID = IID: the longer id is meant, though its end is somebody, too.
        (["a_b_a_b", "b_b"], ["a_b", "b"], [0, 1]),
        (["a_b_a_b", "b_b"], ["b"], [1]),
    ],
)
def test_people_are_found_by_family_and_individual_id(tmp_path, joined, people, columns):
    values = np.arange(2.0 * 23).reshape(23, 2)
    (tmp_path / "a.loco").write_text(loco_text(values, joined))
    (tmp_path / "list").write_text("latent_0 a.loco\n")
    read = read_loco_list(tmp_path / "list").predictions("1", people, ["latent_0"])
    np.testing.assert_array_equal(read[:, 0], values[0, columns])


@pytest.mark.parametrize(
    ("joined", "people", "message"),
    [
        (["x_a_b", "0_c"], ["a_b", "b", "c"], "'x_a_b' .* 'a_b' or 'b'"),
        (["fam1_7", "fam2_7"], ["7"], "'fam1_7' and 'fam2_7' could both be participant '7'"),
        (["1_1", "2_2"], ["1", "3"], "1 of 2 participants are not in it, the first of them '3'"),
        (["1_1", "2_2"], ["1", "1"], "sample ids repeat"),
    ],
)
def test_people_who_cannot_be_told_are_an_error(tmp_path, joined, people, message):
    (tmp_path / "a.loco").write_text(loco_text(np.zeros((23, 2)), joined))
    (tmp_path / "list").write_text("latent_0 a.loco\n")
    with pytest.raises(InputError, match=message):
        read_loco_list(tmp_path / "list").predictions("1", people, ["latent_0"])


def test_the_order_of_people_may_differ_between_files(run):
    path, values = run
    turned = loco_text(values[1][:, ::-1], ("12_12", "11_11", "10_10"))
    (path.parent / "fit_2.loco").write_text(turned)
    read = read_loco_list(path).predictions("4", PEOPLE, NAMES)
    np.testing.assert_array_equal(read, values[:, 3].T)


@pytest.mark.parametrize("missing", ["NA", "nan", "inf"])
def test_a_person_without_prediction_is_named(run, missing):
    path, values = run
    rows = values[1].astype(object)
    rows[4, 1] = missing
    (path.parent / "fit_2.loco").write_text(loco_text(rows))
    loco = read_loco_list(path)
    with pytest.raises(InputError, match="fit_2.loco: no prediction for participant '11' .* 5"):
        loco.predictions("5", PEOPLE, NAMES)
    assert loco.predictions("5", ["10", "12"], NAMES).shape == (2, 2)


def test_dimensions_and_chromosomes_without_predictions_are_named(run):
    path, _ = run
    loco = read_loco_list(path)
    with pytest.raises(InputError, match="no predictions of 'latent_2' \\(1 of 3 dimensions"):
        loco.check(["1"], [*NAMES, "latent_2"])
    with pytest.raises(InputError, match="fit_1.loco: no predictions for chromosome Y"):
        loco.check(["1", "Y"], NAMES)
    loco.check(map(str, range(1, 24)), NAMES[:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("FID_IID", "FID"), "starts with 'FID'; expected FID_IID"),
        (lambda text: "", "starts with ''"),
        (lambda text: text[:-10], "line 24 does not end; the file is cut short"),
        (lambda text: text + text.splitlines()[5] + "\n", "chromosome '5' stands there more than"),
    ],
)
def test_damaged_files_are_refused_when_opened(run, change, message):
    path, _ = run
    file = path.parent / "fit_2.loco"
    file.write_text(change(file.read_text()))
    with pytest.raises(InputError, match=message):
        read_loco_list(path)


def test_a_cut_gzip_file_is_refused(run):
    path, _ = run
    packed = gzip.compress((path.parent / "fit_1.loco").read_bytes())
    (path.parent / "fit_1.loco.gz").write_bytes(packed[:-20])
    path.write_text("latent_0 fit_1.loco.gz\n")
    with pytest.raises(InputError, match="fit_1.loco.gz: cannot be read to its end"):
        read_loco_list(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("5 0.1 0.2 \n", "chromosome 5 has 2 predictions for 3 participants"),
        ("5 0.1 0.2 0,3 \n", "chromosome 5 has predictions that are not numbers"),
    ],
)
def test_damaged_rows_are_refused(run, row, message):
    path, _ = run
    file = path.parent / "fit_1.loco"
    lines = file.read_text().splitlines(keepends=True)
    lines[5] = row
    file.write_text("".join(lines))
    with pytest.raises(InputError, match=message):
        read_loco_list(path).predictions("5", PEOPLE, NAMES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latent_0\n", "line 1 has 1 fields"),
        ("latent_0 fit_1.loco\nlatent_0 fit_2.loco\n", "'latent_0' stands there more than once"),
        ("latent_0 fit_1.loco\nlatent_1 fit_1.loco\n", "'fit_1.loco' is the file of more than"),
        ("latent_0 fit_9.loco\n", "'fit_9.loco' \\(of phenotype 'latent_0'\\): no such file"),
        ("\n", "no predictions listed"),
    ],
)
def test_unusable_lists_are_refused(run, text, message):
    path, _ = run
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_loco_list(path)


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_loco_list(tmp_path / "fit_pred.list")


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 900), removed=st.integers(0, 60), put=st.binary(max_size=12))
def test_any_damage_is_an_error_or_leaves_numbers(run, at, removed, put):
    path, values = run
    whole = loco_text(values[0]).encode()
    file = path.parent / "fit_1.loco"
    file.write_bytes(whole[:at] + put + whole[at + removed :])
    try:
        read = read_loco_list(path).predictions("2", PEOPLE, NAMES)
    except InputError:
        return
    assert read.shape == (3, 2)
    assert np.isfinite(read).all()


def test_subtraction_is_on_the_scale_of_regenie():
    rng = np.random.default_rng(3)
    n = 50
    covariates = rng.normal(size=(n, 2))
    latents = rng.normal(size=(n, 3)) * [1, 20, 0.1] + covariates @ rng.normal(size=(2, 3)) + 7
    predictions = rng.normal(size=(n, 3)) / 4
    # Step 2 by its formulas: residualise, divide by the standard deviation on n − c, subtract.
    design = np.column_stack([np.ones(n), covariates])
    residual = latents - design @ np.linalg.lstsq(design, latents, rcond=None)[0]
    scale = np.sqrt((residual**2).sum(axis=0) / (n - 3))
    expected = residual / scale - predictions
    given = subtract(pd.DataFrame(latents), covariates, predictions)
    np.testing.assert_allclose(given / scale, expected, atol=1e-10)


def test_effects_stay_in_units_of_the_latents():
    rng = np.random.default_rng(4)
    n = 400
    dosages = rng.integers(0, 3, (1, n))
    polygenic = rng.normal(size=n)
    latents = (polygenic + 0.5 * dosages[0] + rng.normal(0, 0.1, n))[:, None]
    taken_off = subtract(latents, None, polygenic[:, None] / latents.std(ddof=1))
    effects = LatentSpace(taken_off)
    effect = effects.effects(effects.project(dosages, "additive"))
    plain = LatentSpace(latents)
    before = plain.effects(plain.project(dosages, "additive"))
    assert effect.beta[0, 0] == pytest.approx(0.5, abs=0.02)
    assert effect.standard_error[0, 0] < before.standard_error[0, 0] / 5


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(InputError, match="shape \\(9, 2\\), but the latents have \\(10, 2\\)"):
        subtract(np.random.default_rng(0).normal(size=(10, 2)), None, np.zeros((9, 2)))


def test_inputs_for_regenie_hold_ids_and_values(tmp_path):
    latents = pd.DataFrame(
        np.random.default_rng(0).normal(size=(3, 2)), index=["a", "b", "c"], columns=NAMES
    )
    covariates = pd.DataFrame({"age": [1.5, 2, 3], "centre=Bristol South": [0, 1, 0]})
    write_regenie_inputs(tmp_path, latents, covariates, family_ids=["f1", "f1", "f2"])
    phenotypes = pd.read_csv(tmp_path / "phenotypes.txt", sep=" ")
    assert list(phenotypes) == ["FID", "IID", *NAMES]
    assert phenotypes["FID"].tolist() == ["f1", "f1", "f2"]
    assert phenotypes["IID"].tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(phenotypes[NAMES], latents, rtol=1e-9)
    header = (tmp_path / "covariates.txt").read_text().splitlines()[0]
    assert header == "FID IID age centre=Bristol_South"
    write_regenie_inputs(tmp_path, latents)
    assert pd.read_csv(tmp_path / "phenotypes.txt", sep=" ")["FID"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("companion", "text", "expected"),
    [
        ("genome.fam", "NA a 0 0 1 -9\n007 NA 0 0 2 -9\nf nan 0 0 0 -9\n", ["f", "007", "NA"]),
        ("genome.psam", "#FID\tIID\tSEX\nNA\ta\t1\n7\tNA\t1\nf\tnan\t2\n", ["f", "7", "NA"]),
        ("genome.psam", "NA a 0 0 1 -9\n007 NA 0 0 2 -9\nf nan 0 0 0 -9\n", ["f", "007", "NA"]),
        ("genome.psam", "#IID\tSEX\na\t1\nNA\t1\nnan\t2\n", None),
    ],
)
def test_family_ids_are_those_beside_the_genotypes(tmp_path, companion, text, expected):
    genotypes = tmp_path / ("genome.pgen" if companion.endswith(".psam") else "genome.bed")
    assert read_family_ids(genotypes, ["a"]) is None
    (tmp_path / companion).write_text(text)
    assert read_family_ids(genotypes, ["nan", "NA", "a"]) == expected
    if expected:
        with pytest.raises(InputError, match=f"{companion}: participant 'eve' is not in it"):
            read_family_ids(genotypes, ["a", "eve", "adam"])


@pytest.mark.parametrize(
    ("latents", "covariates", "message"),
    [
        (pd.DataFrame({"latent_0": [1.0]}, index=["a b"]), None, "'a b' is empty or has white"),
        (pd.DataFrame({"latent_0": [np.nan]}, index=["a"]), None, "'latent_0' has values that"),
        (
            pd.DataFrame({"latent_0": [1.0]}, index=["a"]),
            pd.DataFrame({"age": [1.0, 2.0]}),
            "covariates.txt: 2 rows for 1 participants",
        ),
    ],
)
def test_what_regenie_could_not_read_is_refused(tmp_path, latents, covariates, message):
    with pytest.raises(InputError, match=message):
        write_regenie_inputs(tmp_path, latents, covariates)
    assert not (tmp_path / "covariates.txt").exists()
