import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.phenome.probes.folds import stratified_folds
from tests.phenome.probes.made_up import folds_of, ids_of


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("aabc"), min_size=1, max_size=60), st.integers(0, 5))
def test_stratified_folds_hold_equal_shares_of_every_class(classes, seed):
    labels = pd.Series(classes, index=ids_of(len(classes)))
    stratified = stratified_folds(labels, folds_of(200, seed))
    for of_class in [*(stratified[labels == name] for name in set(classes)), stratified]:
        counts = of_class.value_counts().reindex(range(5), fill_value=0)
        assert counts.max() - counts.min() <= 1
    assert stratified.index.equals(labels.index)


def test_stratified_folds_stay_near_the_folds_of_the_split():
    labels = pd.Series(np.arange(1000) % 3 == 0, index=ids_of(1000))
    folds = folds_of(1000)
    moved = stratified_folds(labels, folds) != folds.loc[labels.index]
    assert moved.mean() < 0.1
