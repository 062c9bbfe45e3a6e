import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.kernel.dosages import whole_dosages
from regreveal.genetics.kernel.projection import BlockProjector
from regreveal.genetics.kernel.whitening import orthonormal_columns
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.univariate import TraitSpace

CODINGS = ("genotype", "additive")


def centred_columns(rng, n, k, c=0):
    """Draw k phenotypes, and beside them a basis of c covariates that they are orthogonal to."""
    basis, _ = orthonormal_columns(rng.standard_normal((n, c)))
    values = rng.standard_normal((n, k))
    for _ in range(2):
        values -= values.mean(axis=0)
        values -= basis @ (basis.T @ values)
    values[:, np.linalg.norm(values, axis=0) < 1e-6] = 0  # of few people, nothing may be left
    return np.hstack([values, basis])


def design_of(dosage, coding, rarer):
    """Mean-imputed design of one variant in float64, (q, n)."""
    known = dosage >= 0
    rows = [dosage == 1, dosage == rarer] if coding == "genotype" else [dosage]
    design = np.zeros((len(rows), len(dosage)))
    for out, row in zip(design, rows, strict=True):
        out[known] = row[known]
        if known.any():
            out[~known] = row[known].mean()
    return design


def assert_projections_are_those_of_the_design(projections, dosages, columns, k, tolerance):
    for variant, dosage in enumerate(dosages):
        rarer = 0 if (dosage == 0).sum() < (dosage == 2).sum() else 2
        design = design_of(dosage, projections.coding, rarer)
        scale = np.abs(design) @ np.abs(columns) + 1e-30
        products = design @ columns
        got = np.hstack([projections.phenotypes[variant], projections.covariates[variant]])
        # Taking out the alternate allele's or its complement's mean differs by the columns' sums.
        assert (np.abs(got - products) <= tolerance * (scale + np.abs(columns).sum(axis=0))).all()
        centred = design - design.mean(axis=1, keepdims=True)
        q = products[:, k:]
        np.testing.assert_allclose(
            projections.gram()[variant],
            centred @ centred.T - q @ q.T,
            atol=tolerance * len(dosage) * (1 + np.abs(q).max(initial=0)) ** 2,
        )
    counts = projections.counts
    np.testing.assert_array_equal(counts.n_ref, (dosages == 0).sum(axis=1))
    np.testing.assert_array_equal(counts.n_het, (dosages == 1).sum(axis=1))
    np.testing.assert_array_equal(counts.n_hom, (dosages == 2).sum(axis=1))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 300),
    k=st.integers(1, 20),
    c=st.integers(0, 3),
    variants=st.integers(0, 5),
    threads=st.integers(1, 4),
    dtype=st.sampled_from(["float64", "float32"]),
)
def test_projections_are_products_with_the_mean_imputed_design(
    seed, n, k, c, variants, threads, dtype
):
    rng = np.random.default_rng(seed)
    columns = centred_columns(rng, n, k, c)
    dosages = rng.binomial(2, rng.uniform(0, 1, (variants, 1)), (variants, n)).astype(np.int8)
    dosages[rng.random((variants, n)) < rng.choice([0, 0.1, 1], (variants, 1))] = -1
    projector = BlockProjector(columns[:, :k], columns[:, k:], dtype, threads=threads)
    for coding in CODINGS:
        tolerance = 1e-13 if dtype == "float64" else 1e-6
        assert_projections_are_those_of_the_design(
            projector(dosages, coding), dosages, columns, k, tolerance
        )


FREQUENCIES = np.r_[0.0005, 0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 0.99]


def common_and_rare(n, missing=0.02, seed=1):
    rng = np.random.default_rng(seed)
    dosages = rng.binomial(2, FREQUENCIES[:, None], (len(FREQUENCIES), n)).astype(np.int8)
    dosages[rng.random(dosages.shape) < missing] = -1
    return dosages


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_common_and_rare_variants_are_summed_alike(dtype, missing):
    same_in_everyone = np.repeat(np.array([[0], [1], [2], [-1]], np.int8), 3001, axis=1)
    dosages = np.vstack([common_and_rare(3001, missing), same_in_everyone])
    columns = centred_columns(np.random.default_rng(2), 3001, 147, 3)
    projector = BlockProjector(columns[:, :147], columns[:, 147:], dtype)
    for coding in CODINGS:
        tolerance = 1e-13 if dtype == "float64" else 1e-6
        assert_projections_are_those_of_the_design(
            projector(dosages, coding), dosages, columns, 147, tolerance
        )


def test_neither_threads_nor_repetition_change_a_byte():
    dosages = common_and_rare(3001)
    columns = centred_columns(np.random.default_rng(2), 3001, 150)
    expected = None
    for threads in (1, 2, 3, 7, 1):
        projector = BlockProjector(columns, columns[:, :0], "float32", threads=threads)
        for block in (dosages, dosages.astype(np.float32).clip(0) * 0.9):
            for coding in CODINGS:
                projector(block, coding)
        result = [projector(dosages, coding).phenotypes.tobytes() for coding in CODINGS]
        expected = expected or result
        assert result == expected


def test_a_variant_does_not_depend_on_the_others_of_its_block():
    dosages = common_and_rare(3001)
    columns = centred_columns(np.random.default_rng(2), 3001, 40)
    projector = BlockProjector(columns, columns[:, :0], "float32")
    whole = projector(dosages, "genotype")
    for row in range(len(dosages)):
        alone = projector(dosages[row : row + 1], "genotype")
        np.testing.assert_array_equal(alone.phenotypes[0], whole.phenotypes[row])
        chosen = whole.select(np.array([row]))
        np.testing.assert_array_equal(alone.gram(), chosen.gram())
        assert alone.counts.n == chosen.counts.n


@pytest.mark.parametrize("coding", CODINGS)
def test_single_precision_keeps_p_values_of_many_participants(coding):
    rng = np.random.default_rng(4)
    n = 38_000
    dosages = np.vstack([common_and_rare(n, missing) for missing in (0, 0.03)])
    latents = rng.standard_normal((n, 48))
    latents[:, 0] += 1.2 * dosages[4].clip(0)
    latents[:, 1] += 0.8 * (dosages[2] > 0)
    covariates = rng.standard_normal((n, 3))
    # The worst order for sums: all large latents first.
    order = np.argsort(-latents[:, 2])
    double, single = (
        LatentSpace(latents[order], covariates[order], dtype).test(dosages[:, order], coding)[
            "neg_log10_p"
        ]
        for dtype in ("float64", "float32")
    )
    assert (double > 300).sum() >= 3
    strong = double > 5
    np.testing.assert_allclose(single[~strong], double[~strong], atol=1e-3)
    np.testing.assert_allclose(single[strong], double[strong], rtol=1e-3)


def imputed(n=500, seed=5):
    """Fractional dosages as imputation gives them, some of them missing, float32."""
    rng = np.random.default_rng(seed)
    frequency = np.r_[0.01, 0.2, 0.5, 0.9, 0.3, 0.3]
    true = rng.binomial(2, frequency[:, None], (6, n))
    dosages = np.clip(true + rng.normal(0, 0.15, (6, n)), 0, 2).astype(np.float32)
    dosages[rng.random(dosages.shape) < 0.03] = np.nan
    dosages[4] = 0.25
    dosages[5] = np.nan
    return dosages


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fractional_dosages_are_used_as_they_are_in_the_additive_coding(dtype):
    dosages = imputed()
    columns = centred_columns(np.random.default_rng(2), 500, 7, 2)
    projections = BlockProjector(columns[:, :7], columns[:, 7:], dtype)(dosages, "additive")
    for row, dosage in enumerate(dosages.astype(np.float64)):
        known = ~np.isnan(dosage)
        mean = dosage[known].mean() if known.any() else np.nan
        centred = np.where(known, dosage - mean, 0)
        tolerance = 1e-10 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(
            projections.phenotypes[row, 0], centred @ columns[:, :7], atol=tolerance
        )
        np.testing.assert_allclose(projections.centred[row, 0, 0], centred @ centred, rtol=1e-12)
        np.testing.assert_allclose(projections.cubes[row], (centred**3).sum(), rtol=1e-9)
        counts = projections.counts
        nearest = np.floor(dosage[known] + 0.5)
        for number, value in zip((counts.n_ref, counts.n_het, counts.n_hom), range(3), strict=True):
            assert number[row] == (nearest == value).sum()
        np.testing.assert_allclose(counts.alt_frequency[row], mean / 2, rtol=1e-12)


def test_fractional_dosages_are_called_in_the_genotype_coding_as_plink_calls_them():
    dosages = imputed()
    dosages[0, :4] = [0.1, 0.9, 1.1, 1.9]
    dosages[0, 4:8] = [0.1001, 0.8999, 1.5, 0.5]
    nearest = np.round(dosages)
    expected = np.where(np.abs(dosages - nearest) <= 0.1 + 1e-6, nearest, -1).astype(np.int8)
    assert list(expected[0, :8]) == [0, 1, 1, 2, -1, -1, -1, -1]
    np.testing.assert_array_equal(whole_dosages(dosages), expected)
    columns = centred_columns(np.random.default_rng(2), 500, 7, 2)
    projector = BlockProjector(columns[:, :7], columns[:, 7:])
    by_dosage, by_call = projector(dosages, "genotype"), projector(expected, "genotype")
    np.testing.assert_array_equal(by_dosage.phenotypes, by_call.phenotypes)
    np.testing.assert_array_equal(by_dosage.counts.n_het, by_call.counts.n_het)
    frequency = [np.nan if np.isnan(row).all() else np.nanmean(row) / 2 for row in dosages]
    np.testing.assert_allclose(by_dosage.counts.alt_frequency, frequency, rtol=1e-6)


def test_info_is_the_variance_over_that_of_certain_genotypes():
    dosages = imputed()
    dosages = np.vstack([dosages, np.where(np.isnan(dosages[:1]), np.nan, dosages[:1].round())])
    columns = centred_columns(np.random.default_rng(2), 500, 3)
    projector = BlockProjector(columns, columns[:, :0])
    fractional = dosages[:4].astype(np.float64)
    p = np.nanmean(fractional, axis=1) / 2
    expected = np.nanvar(fractional, axis=1) / (2 * p * (1 - p))
    for coding in CODINGS:
        info = projector(dosages, coding).info
        np.testing.assert_allclose(info[:4], expected, rtol=1e-9)
        # The same in everyone; nothing known; whole numbers only.
        np.testing.assert_allclose(info[4:], [0, np.nan, 1], atol=1e-12)
        np.testing.assert_array_equal(projector(whole_dosages(dosages), coding).info, 1)


@pytest.mark.parametrize("space_class", [LatentSpace, TraitSpace])
def test_fractional_dosages_that_are_whole_give_the_results_of_whole_ones(space_class):
    rng = np.random.default_rng(7)
    space = space_class(rng.standard_normal((800, 5)), rng.standard_normal((800, 2)))
    dosages = common_and_rare(800)[2:]
    floating = np.where(dosages < 0, np.nan, dosages).astype(np.float32)
    whole = space.effects(space.project(dosages, "additive"))
    fractional = space.effects(space.project(floating, "additive"))
    np.testing.assert_allclose(fractional.beta, whole.beta, rtol=1e-9)
    np.testing.assert_allclose(fractional.neg_log10_p, whole.neg_log10_p, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_covariates_leave_is_found_person_by_person_where_it_is_little(dtype):
    rng = np.random.default_rng(6)
    dosages = common_and_rare(3001, missing=0)[3:7]
    noise = 0.02 * rng.standard_normal(3001)
    basis, _ = orthonormal_columns(np.column_stack([(dosages[1] == 1) + noise]))
    latents = rng.standard_normal((3001, 5))
    latents -= latents.mean(axis=0)
    latents -= basis @ (basis.T @ latents)
    projector = BlockProjector(latents, basis, dtype)
    projections = projector(dosages, "genotype")
    chosen = np.isfinite(projections.exact_gram).all(axis=(1, 2))
    assert chosen.tolist() == [False, True, False, False]
    design = design_of(dosages[1], "genotype", 2)
    design -= design.mean(axis=1, keepdims=True)
    rest = design - design @ basis @ basis.T
    np.testing.assert_allclose(projections.gram()[1], rest @ rest.T, rtol=1e-12)
    np.testing.assert_allclose(projections.phenotypes[1], rest @ latents, atol=1e-11)
    selected = projections.select(np.array([1, 2]))
    np.testing.assert_array_equal(selected.gram(), projections.gram()[[1, 2]])


def test_a_projector_is_sent_without_what_it_can_make_anew():
    columns = centred_columns(np.random.default_rng(2), 500, 7, 2)
    projector = BlockProjector(columns[:, :7], columns[:, 7:], "float32")
    before = pickle.dumps(projector)
    expected = projector(imputed(), "additive").phenotypes
    after = pickle.dumps(projector)
    assert len(after) == len(before)
    np.testing.assert_array_equal(pickle.loads(after)(imputed(), "additive").phenotypes, expected)


KERAS_AGREES = """
import keras, pickle, numpy as np
from regreveal.genetics.kernel.keras_product import KerasProduct, shared_tensor
from regreveal.genetics.kernel.products import SetSums, _aligned, genotype_sets
from tests.genetics.kernel.test_projection import centred_columns, common_and_rare, imputed

n = 700
columns = centred_columns(np.random.default_rng(2), n, 30)
dosages = np.vstack([common_and_rare(n, seed=seed) for seed in range(40)])
sets = genotype_sets(dosages, 2)
exact = SetSums(columns, "float64", 2)
fractional = np.tile(imputed(n), (100, 1))
mean = np.nan_to_num(np.nanmean(fractional, axis=1, where=~np.isnan(fractional)))
for send in (False, True):
    product = KerasProduct(columns, 2, send)
    np.testing.assert_allclose(product.indicators(sets), exact.indicators(sets), atol=2e-4)
    found, expected = (each.centred(fractional, mean) for each in (product, exact))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
    assert product.indicators(genotype_sets(dosages[:0], 2)).shape == (0, 2, 30)
if keras.backend.backend() == "tensorflow":
    from tensorflow import config
    assert not config.experimental.tensor_float_32_execution_enabled()
    sent = pickle.dumps(product)
    config.experimental.enable_tensor_float_32_execution(True)
    received = pickle.loads(sent)
    assert not config.experimental.tensor_float_32_execution_enabled()
    np.testing.assert_array_equal(received.indicators(sets), product.indicators(sets))
memory = _aligned((4, 4), np.float32)
memory[:] = 1
tensor = shared_tensor(memory)
memory[2, 3] = 7
assert np.asarray(keras.ops.convert_to_numpy(tensor))[2, 3] == 7, "a copy was made"
print("agrees on", keras.backend.backend())
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_products_by_keras_are_those_of_compiled_loops(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-c", KERAS_AGREES],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert f"agrees on {backend}" in run.stdout, run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype 'float16': expected float64 or float32"),
        ({"backend": "torch"}, "backend 'torch': expected numpy or keras"),
        ({"backend": "keras", "dtype": "float64"}, "backend 'keras' computes in float32"),
        ({"threads": 0}, "threads 0: expected at least 1"),
    ],
)
def test_unknown_precisions_and_backends_are_refused(options, message):
    columns = np.ones((10, 2))
    with pytest.raises(InputError, match=message):
        BlockProjector(columns, columns[:, :0], **options)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("value", [-0.1, 2.1, np.inf, -np.inf, -1.0])
def test_fractional_dosages_outside_0_to_2_are_refused(value, coding):
    dosages = imputed()
    dosages[2, 17] = value
    columns = np.ones((500, 2))
    with pytest.raises(InputError, match=r"expected 0 to 2, and NaN where missing") as error:
        BlockProjector(columns, columns[:, :0])(dosages, coding)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.int16])
@pytest.mark.parametrize("value", [3, 100, 127])
@pytest.mark.parametrize("place", [0, 64, 299])
def test_whole_numbers_that_are_no_dosages_are_refused(value, dtype, place):
    dosages = np.zeros((3, 300), dtype)
    dosages[1, place] = value
    columns = np.ones((300, 2))
    for refuse in (BlockProjector(columns, columns[:, :0]), lambda block, _: whole_dosages(block)):
        with pytest.raises(InputError, match=f"to {value}; expected 0, 1, 2"):
            refuse(dosages, "additive")
