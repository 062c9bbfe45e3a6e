import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linear_toy import IDS, SHAPE, N

from regreveal.directions.run import run_directions
from regreveal.directions.variables import Variable
from regreveal.errors import InputError

COVARIATES = {"variant": ["age"]}


@pytest.fixture(scope="module")
def found(toy, tmp_path_factory):
    """What was written of the toy's two variables: the table, the groups and the arrays."""
    folder = tmp_path_factory.mktemp("directions")
    table = run_directions(
        toy.embedding, IDS, toy.variables, COVARIATES, toy.cohort, toy.model, folder
    )
    with np.load(folder / "01.npz") as arrays:
        arrays = dict(arrays)
    return table, pd.read_csv(folder / "groups.tsv", sep="\t"), arrays, folder


def scores_of(toy, arrays):
    """Scores of who has a genotype, the age taken out of them, at one standard deviation."""
    ids = IDS[4:]
    scores = (toy.embedding.select(ids) - arrays["mean"]) @ arrays["weights"]
    scores = sm.OLS(scores, sm.add_constant(toy.cohort.loc[ids, "age"].to_numpy())).fit().resid
    return scores / scores.std()


def test_decoded_walk_of_a_linear_decoder_is_the_regression_of_tensors_on_the_score(toy, found):
    _, _, arrays, _ = found
    tensors = toy.tensors[4:].reshape(N - 4, -1)
    design = sm.add_constant(
        np.column_stack([scores_of(toy, arrays), toy.cohort["age"].to_numpy()[4:]])
    )
    slope = sm.OLS(tensors, design).fit().params[1]
    expected = tensors.mean(axis=0) + arrays["steps"][:, None] * slope
    np.testing.assert_allclose(arrays["walk"], expected.reshape(-1, *SHAPE), atol=2e-5)
    np.testing.assert_allclose(arrays["decoded"], slope.reshape(SHAPE), atol=2e-5)


def test_scores_of_an_exact_model_come_back(found):
    row = found[0].iloc[0]
    assert row["cycle_slope"] == pytest.approx(1, abs=1e-5)
    assert row["cycle_correlation"] == pytest.approx(1, abs=1e-5)
    assert row["purity"] == pytest.approx(1, abs=1e-5)


def test_people_at_the_ends_are_at_least_twenty_and_differ_as_is_decoded(toy, found):
    table, _, arrays, _ = found
    row = table.iloc[0]
    order = np.argsort(scores_of(toy, arrays))
    tensors = toy.tensors[4:]
    means = [tensors[order[rows]].mean(axis=0) for rows in (slice(20), slice(-20, None))]
    scores = [scores_of(toy, arrays)[order[rows]].mean() for rows in (slice(20), slice(-20, None))]
    expected = (means[1] - means[0]) / (scores[1] - scores[0])
    np.testing.assert_allclose(arrays["people"], expected, atol=2e-5)
    assert (row["n_low"], row["n_high"]) == (20, 20)
    np.testing.assert_allclose([row["score_low"], row["score_high"]], scores, rtol=1e-5)
    assert row["agreement"] > 0.9
    assert row["size"] == pytest.approx(1, abs=0.2)


def test_groups_are_the_genotypes_with_their_mean_scores(toy, found):
    _, groups, arrays, _ = found
    dosages = toy.variables[0].numbers.to_numpy()[4:]
    scores = scores_of(toy, arrays)
    assert groups["value"].tolist() == [0, 1, 2]
    assert groups["n"].tolist() == [(dosages == value).sum() for value in (0, 1, 2)]
    expected = [scores[dosages == value].mean() for value in (0, 1, 2)]
    np.testing.assert_allclose(groups["score"], expected, rtol=1e-4)
    assert np.all(np.diff(groups["score"]) > 0)


def test_variable_of_a_few_people_is_named_and_not_shown(found):
    table, groups, _, folder = found
    row = table.iloc[1]
    assert row["reason"] == "fewer than 20 participants differ from the others"
    assert row["file"] == ""
    assert np.isnan(row["effect"])
    assert set(groups["file"]) == {"01.npz"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "01.npz",
        "directions.json",
        "directions.tsv",
        "groups.tsv",
    ]
    read = pd.read_csv(folder / "directions.tsv", sep="\t", dtype={"name": str})
    assert read["name"].tolist() == ["1:5:A:C", "401"]
    assert read["n"].tolist() == [N - 4, N]


def test_who_lacks_a_covariate_is_left_out(toy, tmp_path):
    cohort = toy.cohort.copy()
    cohort.iloc[10:30] = np.nan
    table = run_directions(
        toy.embedding, IDS, toy.variables[:1], COVARIATES, cohort, toy.model, tmp_path
    )
    assert table["n"].tolist() == [N - 24]


def test_disease_of_one_sex_needs_no_covariate_that_is_constant_there(toy, tmp_path):
    women = np.arange(N) % 2 == 0
    cohort = toy.cohort.assign(sex=np.where(women, "female", "male"), half=women * 0.5)
    cases = pd.Series(np.where(women, np.arange(N) % 3 == 0, np.nan), IDS, float)
    disease = Variable("phecode", "618", "Prolapse", "case", cases)
    tables = [
        run_directions(toy.embedding, IDS, [disease], taken_out, cohort, toy.model, tmp_path)
        for taken_out in ({"phecode": ["age", "sex"]}, {"phecode": ["age"]})
    ]
    assert tables[0]["n"].tolist() == [N // 2]
    pd.testing.assert_frame_equal(*tables)
    with pytest.raises(InputError, match="'half' is constant or a combination"):
        run_directions(
            toy.embedding, IDS, [disease], {"phecode": ["sex", "half"]}, cohort, toy.model, tmp_path
        )


def test_few_participants_with_a_value_are_not_shown(toy, tmp_path):
    table = run_directions(
        toy.embedding, IDS[:40], toy.variables[:1], {}, None, toy.model, tmp_path
    )
    assert table["reason"].tolist() == ["fewer than 40 participants have a value"]
    table = run_directions(
        toy.embedding, IDS[:4], toy.variables[:1], {}, toy.cohort, toy.model, tmp_path
    )
    assert table["n"].tolist() == [0]
    nobody = [dataclasses.replace(toy.variables[0], numbers=toy.variables[0].numbers[:4])]
    table = run_directions(toy.embedding, IDS, nobody, COVARIATES, toy.cohort, toy.model, tmp_path)
    assert table["n"].tolist() == [0]


def test_fewer_participants_than_a_direction_is_fitted_with_are_a_reason_not_an_end(toy, tmp_path):
    cohort = pd.DataFrame(np.random.default_rng(5).normal(size=(N, 45)), index=IDS)
    cohort.columns = [f"pc_{i}" for i in range(45)]
    table = run_directions(
        toy.embedding,
        IDS[4:53],
        toy.variables[:1],
        {"variant": list(cohort)},
        cohort,
        toy.model,
        tmp_path,
    )
    assert table["reason"].tolist() == ["fewer than 50 participants have a value"]
    table = run_directions(
        toy.embedding,
        IDS[4:54],
        toy.variables[:1],
        {"variant": list(cohort)},
        cohort,
        toy.model,
        tmp_path,
    )
    assert table["n"].tolist() == [50]
    assert table["file"].tolist() == ["01.npz"]


def test_inputs_that_do_not_fit_end_in_one_line(toy, tmp_path):
    def run(**changes):
        given = {"embedding": toy.embedding, "cohort": toy.cohort, "covariates": COVARIATES}
        given |= changes
        run_directions(
            given["embedding"],
            IDS,
            toy.variables,
            given["covariates"],
            given["cohort"],
            toy.model,
            tmp_path,
        )

    with pytest.raises(InputError, match="takes 3 latents and the embedding has 2"):
        run(embedding=dataclasses.replace(toy.embedding, latents=toy.embedding.latents[:, :2]))
    with pytest.raises(InputError, match="no column 'height'"):
        run(covariates={"variant": ["height"]})
    with pytest.raises(InputError, match="covariate 'age' is asked for"):
        run(cohort=None)
