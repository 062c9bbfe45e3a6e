import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from regreveal.errors import InputError
from regreveal.genetics.clusters.modality_groups import (
    COLUMNS,
    ModalityDirections,
    group_by_modality,
    holm,
)
from regreveal.genetics.clusters.variant_directions import carrier_contrasts

PEOPLE, SIZE = 1500, 12


def draw(effects_one, effects_other, seed, shared_noise=0.5):
    """Latents of two modalities whose noise is partly that of the people themselves."""
    rng = np.random.default_rng(seed)
    variants = len(effects_one)
    dosages = rng.binomial(2, rng.uniform(0.2, 0.45, (variants, 1)), (variants, PEOPLE))
    dosages = dosages.astype(np.int8)
    carriers = (dosages > 0).T - (dosages > 0).mean(axis=1)
    person = np.sqrt(shared_noise) * rng.standard_normal((PEOPLE, SIZE))
    noise = np.sqrt(1 - shared_noise) * rng.standard_normal((2, PEOPLE, SIZE))
    one = person + noise[0] + carriers @ effects_one
    other = 3 * (person + noise[1] + carriers @ effects_other)
    return one, other, dosages


def directions(variants, seed):
    found = np.random.default_rng(seed).standard_normal((variants, SIZE))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def grouped(effects_one, effects_other, seed=0):
    one, other, dosages = draw(effects_one, effects_other, seed)
    ids = [f"rs{i}" for i in range(len(dosages))]
    variants = pd.DataFrame({"variant_id": ids, "gene": "GENE"})
    # Latents are normal, and the transform takes time.
    return group_by_modality({"ecg": one, "cine": other}, dosages, variants, transform="none")


def test_planted_groups_come_back():
    # Four variants that both modalities see alike, four of either alone, four of neither, and two
    # that both see, but as different things.
    strength = np.r_[np.full(4, 0.6), np.full(4, 0.6), np.zeros(8), np.full(2, 0.6)][:, None]
    from_other = np.r_[np.full(4, 0.6), np.zeros(4), np.full(4, 0.6), np.zeros(4), np.full(2, 0.6)]
    turned = np.r_[directions(16, 1), directions(2, 2)]
    plain = np.r_[directions(16, 1), directions(2, 3)]
    plain[16:] -= (plain[16:] * turned[16:]).sum(axis=1, keepdims=True) * turned[16:]
    table = grouped(strength * plain, from_other[:, None] * turned)
    expected = ["shared"] * 4 + ["only ecg"] * 4 + ["only cine"] * 4 + ["unclear"] * 6
    assert table["group"].tolist() == expected
    assert set(table["reason"][12:16]) == {"seen from neither"}
    assert table["reason"][16:].str.startswith("seen from both, but").all()
    assert (table["reason"][:12] == "").all()
    assert (table["denoised_cosine"][:4] > 0.8).all()
    assert list(table.columns) == ["first", "second", "variant_id", "gene", *COLUMNS]


def test_a_variant_that_is_just_missed_is_not_called_the_others_own():
    effects = 0.2 * directions(6, 4)
    table = pd.concat([grouped(effects, 0.16 * directions(6, 4), seed) for seed in range(12)])
    missed = (table["adjusted_p_first"] < 0.05) & (table["adjusted_p_second"] >= 0.05)
    assert missed.sum() > 8
    only = table["group"].str.startswith("only")
    assert (missed & only).sum() <= 1
    reasons = table.loc[missed & ~only, "reason"]
    assert (reasons == "seen from ecg, and not shown to be weaker from cine").all()


def test_family_wise_errors_are_held():
    """Equal effects in unrelated directions: neither longer nor alike, whatever is found."""
    differ, alike = [], []
    for seed in range(40):
        one, other = directions(8, 100 + seed), directions(8, 200 + seed)
        other -= (one * other).sum(axis=1, keepdims=True) * one
        other /= np.linalg.norm(other, axis=1, keepdims=True)
        table = grouped(0.35 * one, 0.35 * other, seed)
        differ.append((table["difference_p"] < 0.05).any())
        alike.append((table["agreement_p"] < 0.05).any())
    # 5 % of 40 is 2; 6 and more have a probability of 1.4 %.
    assert sum(differ) <= 5
    assert sum(alike) <= 5


def test_distances_and_cosines_are_right_on_average():
    one = 0.4 * directions(10, 5)
    across = directions(10, 6)
    across -= (across * one).sum(axis=1, keepdims=True) * one / 0.16
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = 0.6 * one / 0.4 * 0.4 + 0.8 * 0.4 * across
    squares, cosines = [], []
    for seed in range(12):
        first, second, dosages = draw(one, other, seed)
        found = ModalityDirections(first, second, carrier_contrasts(dosages)[0])
        # Variance that the variants add to the noise of 1 is divided out again.
        squares.append(np.mean(found.squares[0]) * (1 + 0.1 * 0.16 / SIZE * 10 * 0.25))
        cosines.append(np.mean(found.denoised_cosines))
    assert np.mean(squares) == pytest.approx(0.16, rel=0.12)
    assert np.mean(cosines) == pytest.approx(0.6, abs=0.06)


def test_the_scale_of_a_modality_does_not_matter_to_how_well_it_is_seen():
    effects = 0.4 * directions(5, 7)
    one, other, dosages = draw(effects, effects, 1)
    contrasts, _ = carrier_contrasts(dosages)
    found, scaled = (ModalityDirections(one, scale * other, contrasts) for scale in (1, 50))
    np.testing.assert_allclose(found.squares, scaled.squares)
    np.testing.assert_allclose(found.difference_error, scaled.difference_error)


def test_variants_without_a_direction_are_left_out():
    one, other, dosages = draw(np.zeros((3, SIZE)), np.zeros((3, SIZE)), 0)
    dosages[1] = 2
    variants = pd.DataFrame({"variant_id": ["a", "b", "c"], "gene": ""})
    table = group_by_modality(
        {"ecg": one, "cine": other}, dosages, variants, coding="additive", transform="none"
    )
    assert table["variant_id"].tolist() == ["a", "c"]


def test_no_variants_give_an_empty_table():
    one, other, dosages = draw(np.zeros((1, SIZE)), np.zeros((1, SIZE)), 0)
    variants = pd.DataFrame({"variant_id": [], "gene": []})
    table = group_by_modality({"ecg": one, "cine": other}, dosages[:0], variants, transform="none")
    assert table.empty
    assert set(COLUMNS) <= set(table)


def test_latents_of_different_people_or_spaces_are_refused():
    one, other, dosages = draw(np.zeros((2, SIZE)), np.zeros((2, SIZE)), 0)
    contrasts, _ = carrier_contrasts(dosages)
    with pytest.raises(InputError, match="the same people in one latent space"):
        ModalityDirections(one, other[:, :5], contrasts)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_adjusted_p_values_are_those_of_statsmodels(count):
    p_values = np.random.default_rng(9).random(count) ** 4
    expected = multipletests(p_values, method="holm")[1] if count else []
    np.testing.assert_allclose(holm(p_values), expected)
    assert holm(np.array([np.nan, 0.01])).tolist() == [1, 0.02]
