import numpy as np
import pytest

from regreveal.genetics.clusters.variant_directions import VariantDirections, carrier_contrasts


def genotypes(rng, variants=3, n=600):
    return rng.binomial(2, rng.uniform(0.2, 0.5, (variants, 1)), (variants, n)).astype(np.int8)


def test_vectors_are_least_squares_effects_of_being_a_carrier_up_to_their_length():
    rng = np.random.default_rng(0)
    dosages = genotypes(rng)
    ancestry = dosages[0][:, None] + rng.standard_normal((600, 2))
    latents = rng.standard_normal((600, 5)) + dosages.T @ rng.normal(0, 0.3, (3, 5))
    latents += 2 * ancestry[:, :1]
    found = VariantDirections(latents, dosages, ancestry)
    design = np.column_stack([np.ones(600), ancestry])
    rest = latents - design @ np.linalg.lstsq(design, latents, rcond=None)[0]
    values, vectors = np.linalg.eigh(rest.T @ rest)
    white = rest @ vectors / np.sqrt(values)
    for variant, dosage in enumerate(dosages):
        common = 0 if (dosage == 0).sum() >= (dosage == 2).sum() else 2
        with_carriers = np.column_stack([design, dosage != common])
        slope = np.linalg.lstsq(with_carriers, white, rcond=None)[0][-1]
        ours = found.vectors[variant]
        np.testing.assert_allclose(
            np.linalg.norm(ours) * slope @ slope, np.linalg.norm(slope) ** 2 * np.linalg.norm(ours)
        )
        products = ours @ found.vectors.T
        expected = slope @ white.T @ (dosages[variant] != common)
        assert np.sign(products[variant]) == np.sign(expected)


def test_noise_is_what_vectors_without_an_effect_are_made_of():
    rng = np.random.default_rng(1)
    dosages = genotypes(rng, 2)
    # The third is linked with the first, the fourth lacks half of the people.
    linked = np.where(rng.random(600) < 0.8, dosages[0], genotypes(rng, 1)[0])
    missing = np.where(rng.random(600) < 0.5, -1, dosages[1])
    dosages = np.vstack([dosages, linked, missing]).astype(np.int8)
    ancestry = dosages[0][:, None] + rng.standard_normal((600, 1))
    drawn = [
        VariantDirections(rng.standard_normal((600, 4)), dosages, ancestry) for _ in range(600)
    ]
    inner = np.mean([each.vectors @ each.vectors.T for each in drawn], axis=0)
    noise = np.mean([each.noise for each in drawn], axis=0)
    assert abs(inner / noise - 1)[np.diag_indices(4)].max() < 0.08
    assert abs(inner[0, 2] / noise[0, 2] - 1) < 0.1
    assert abs(inner[1, 3] / noise[1, 3] - 1) < 0.1


def test_resampled_vectors_scatter_about_them_like_the_noise():
    rng = np.random.default_rng(2)
    dosages = genotypes(rng)
    latents = rng.standard_normal((600, 4)) + dosages.T @ rng.normal(0, 0.2, (3, 4))
    found = VariantDirections(latents, dosages)
    for size in (1.0, 2.0):
        drawn = np.array([found.resampled(rng, size) for _ in range(500)])
        away = drawn - found.vectors
        scatter = (away**2).sum(axis=2).mean(axis=0)
        np.testing.assert_allclose(scatter, np.diagonal(found.noise) / size, rtol=0.12)
        assert (away.mean(axis=0) ** 2).sum(axis=1).max() < 0.03 * scatter.min()


def test_contrasts_leave_out_who_is_missing_and_say_which_variants_have_none():
    dosages = np.array([[0, 0, 1, 2, -1], [2, 2, 2, 1, 0], [1] * 5, [2] * 5, [-1] * 5], np.int8)
    contrasts, reasons = carrier_contrasts(dosages)
    np.testing.assert_allclose(contrasts[0], [-0.5, -0.5, 0.5, 0.5, 0])
    np.testing.assert_allclose(contrasts[1], [-1 / 3] * 3 + [0.5, 0.5])
    assert list(reasons[2:]) == [
        "nobody is homozygous",
        "everyone has the same genotype",
        "no genotype is known",
    ]
    with pytest.raises(ValueError, match="dosages"):
        carrier_contrasts(np.array([[3, 0]], np.int8))
