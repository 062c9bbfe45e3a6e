"""Points for plots: what is kept, that little is lost, and that blocks do not matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.genetics.output import plot_points
from regreveal.genetics.output.plot_points import CELL_HEIGHT, PlotPoints, point_bytes, read_points


def _scan(count: int, seed: int = 1) -> pd.DataFrame:
    """Make variants of three chromosomes, with hits far out and some that were not tested."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "chromosome": np.sort(rng.integers(1, 4, count)).astype(str),
            "position": rng.integers(1, 10_000_000, count),
            "neg_log10_p": rng.exponential(0.43, count),
        }
    )
    table.loc[rng.integers(0, count, 3), "neg_log10_p"] = [12.5, 80.0, 4000.0]
    table.loc[rng.random(count) < 0.01, "neg_log10_p"] = np.nan
    return table


def _points(table: pd.DataFrame, size: int = 10_000) -> PlotPoints:
    points = PlotPoints()
    for chromosome, part in table.groupby("chromosome", sort=False):
        for start in range(0, len(part), size):
            block = part[start : start + size]
            points.add(chromosome, block["position"].to_numpy(), block["neg_log10_p"].to_numpy())
    return points


@pytest.fixture
def little_room(monkeypatch):
    monkeypatch.setattr(plot_points, "MOST_HITS", 500)
    monkeypatch.setattr(plot_points, "MOST_CELLS", 3000)
    monkeypatch.setattr(plot_points, "_WAITING", 4096)


def test_a_small_scan_is_kept_as_it_is():
    table = _scan(2000)
    points = _points(table)
    tested = table.dropna()
    kept = points.table().dropna().astype({"chromosome": str, "position": int})
    order = ["chromosome", "position", "neg_log10_p"]
    pd.testing.assert_frame_equal(
        kept.sort_values(order, ignore_index=True), tested.sort_values(order, ignore_index=True)
    )
    ranks = np.arange(1, len(tested) + 1)
    assert points.count == len(tested)
    assert (points.strongest(ranks) == np.sort(tested["neg_log10_p"])[::-1]).all()
    assert points.median() == tested["neg_log10_p"].median()


def test_hits_are_exact_and_every_other_variant_has_a_point_beside_it(little_room):
    table = _scan(50_000).dropna()
    points = _points(table)
    drawn = points.table()
    assert len(drawn) <= 500 + 3000 + 3
    hits = table[table["neg_log10_p"] >= points._limit]
    assert 0 < len(hits) <= 500
    exact = set(zip(drawn["chromosome"], drawn["position"], drawn["neg_log10_p"], strict=True))
    assert set(hits.itertuples(index=False, name=None)) <= exact
    width = 1 << points._shift
    for chromosome, crowd in table[table["neg_log10_p"] < points._limit].groupby("chromosome"):
        here = drawn[drawn["chromosome"] == chromosome].dropna()
        cells = set(zip(here["position"] // width, here["neg_log10_p"] // CELL_HEIGHT, strict=True))
        wanted = zip(crowd["position"] // width, crowd["neg_log10_p"] // CELL_HEIGHT, strict=True)
        # Dividing by a hundredth and multiplying by it may land in the next cell.
        near = {(x, y + step) for x, y in cells for step in (-1, 0, 1)}
        assert set(wanted) <= near


def test_the_crowds_cells_are_those_of_variants_that_exist(little_room):
    table = _scan(50_000).dropna()
    points = _points(table)
    drawn = points.table().dropna()
    width = 1 << points._shift
    for _, point in drawn[drawn["neg_log10_p"] < points._limit].sample(300).iterrows():
        here = table[table["chromosome"] == point["chromosome"]]
        beside = (here["position"] - point["position"]).abs() <= width
        level = (here["neg_log10_p"] - point["neg_log10_p"]).abs() <= 0.51 * CELL_HEIGHT
        assert (beside & level).any()


def test_chromosomes_reach_as_far_as_their_untested_variants(little_room):
    table = _scan(20_000)
    last = table.groupby("chromosome")["position"].idxmax()
    table.loc[last, "neg_log10_p"] = np.nan
    ends = _points(table).table().groupby("chromosome", observed=True)["position"].max()
    assert ends.to_dict() == table.groupby("chromosome")["position"].max().to_dict()


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_neither_blocks_nor_order_matter(sizes, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot_points, "MOST_HITS", 300)
        patch.setattr(plot_points, "MOST_CELLS", 1000)
        patch.setattr(plot_points, "_WAITING", 2000)
        table = _scan(8000, seed)
        whole = _points(table)
        rng = np.random.default_rng(seed)
        other = PlotPoints()
        shuffled = table.iloc[rng.permutation(len(table))]
        for chromosome in "123":
            part = shuffled[shuffled["chromosome"] == chromosome]
            start = 0
            for size in [*sizes, len(part)]:
                block = part[start : start + size]
                other.add(chromosome, block["position"], block["neg_log10_p"])
                start += size
        order = ["chromosome", "position", "neg_log10_p"]
        pd.testing.assert_frame_equal(
            whole.table().sort_values(order, ignore_index=True),
            other.table().sort_values(order, ignore_index=True),
        )
        ranks = np.arange(1, whole.count + 1)
        assert (whole.strongest(ranks) == other.strongest(ranks)).all()


def test_ranks_and_the_median_are_right_to_five_digits():
    values = np.random.default_rng(4).exponential(0.43, 300_000)
    points = PlotPoints()
    points.add("1", np.arange(len(values)), values)
    ordered = np.sort(values)[::-1]
    ranks = np.unique(np.geomspace(1, len(values) - 10, 4000).astype(int))
    assert points.count == len(values)
    exact = ordered[: (values >= points._limit).sum()]
    assert points._limit > 0
    assert (points.strongest(np.arange(1, len(exact) + 1)) == exact).all()
    np.testing.assert_allclose(points.strongest(ranks), ordered[ranks - 1], rtol=4e-5)
    assert points.median() == pytest.approx(np.median(values), rel=1e-5)
    assert (np.diff(points.strongest(np.arange(1, len(values) + 1))) <= 0).all()


def test_files_of_parts_give_the_same_points(tmp_path, little_room):
    table = _scan(10_000)
    path = tmp_path / "points"
    with path.open("wb") as file:
        for chromosome, part in table.groupby("chromosome"):
            for block in (part[:100], part[100:100], part[100:]):
                file.write(point_bytes(chromosome, block["position"], block["neg_log10_p"]))
    single = table.assign(neg_log10_p=table["neg_log10_p"].astype(np.float32).astype(float))
    pd.testing.assert_frame_equal(read_points(path).table(), _points(single).table())


def test_no_results_have_no_median_and_no_points():
    assert np.isnan(PlotPoints().median())
    assert PlotPoints().table().empty
    points = PlotPoints()
    points.add("1", np.array([5, 9]), np.array([np.nan, np.nan]))
    assert points.count == 0
    assert np.isnan(points.median())
    assert points.table()["neg_log10_p"].isna().all()
