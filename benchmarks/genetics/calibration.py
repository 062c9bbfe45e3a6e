"""How often the latent GWAS calls a variant without effect significant, by carriers and latents.

Null variants are groups of carriers drawn at random, tested against the others (one regressor,
which is also what the three-group test makes of a variant with few carriers), and variants in
Hardy-Weinberg proportions with 20 rarer homozygotes, tested as three groups. Observed over nominal
share of p-values below a level: 1 is right, 2 is twice too often. "corrected" is `radial` with the
p-values of small groups corrected for skewness. Covariates are correlated with the latents;
"ancestry" draws carriers more often where two of them are large. "Variance by group": latents of
15 % of the people have 1.25 times the variance, and carriers are among them.

    python benchmarks/genetics/calibration.py --figure docs/figures/calibration.png
    python benchmarks/genetics/calibration.py --quick
    python benchmarks/genetics/calibration.py --participants 38000 --dimensions 256 --draws 1
    python benchmarks/genetics/calibration.py --embedding RUN/arms/registered/embedding.parquet \
        --covariates RUN/data/cohort.tsv --columns age sex pc_1 pc_2
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from latent_distributions import DISTRIBUTIONS, draw_covariates, draw_latents
from scipy import sparse, stats

from regreveal.genetics.kernel.fdistribution import neg_log10_f
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.pillai import pillai_f, pillai_trace
from regreveal.genetics.skewness import SkewnessCorrection
from regreveal.genetics.transforms import TRANSFORMS, transform_latents
from regreveal.store.cohort import design_matrix, read_table
from regreveal.store.embedding import Embedding

CORRECTED = "corrected"
LINES = (*TRANSFORMS[::-1], CORRECTED)

# Groups tested at once: their products are some 100 MB.
CHUNK = 50_000

# Of the three-group test, which costs twenty times as much a variant, so a third are made.
RARER_HOMOZYGOTES = 20
SHARE_OF_THREE_GROUPS = 3


class Space:
    """Whitened latents of one transform, and how variants are tested in it."""

    def __init__(self, latents, covariates, transform):
        self.whitened = LatentSpace(
            transform_latents(latents, transform, covariates), covariates
        ).whitened
        self.correction = SkewnessCorrection(self.whitened)
        self.whitened = self.whitened.astype(np.float32)

    def small_p(self, indicators, basis, largest):
        """Test groups, indicators (variants, n): −log10 p above a limit, plain and corrected."""
        n, k = self.whitened.shape
        counts = np.stack([each.sum(axis=1) for each in indicators])
        explained = np.stack([each @ basis for each in indicators], axis=1)
        gram = -np.einsum("vpc,vqc->vpq", explained, explained, dtype=np.float64)
        for column, sizes in enumerate(counts):
            gram[:, column, column] += sizes
        trace = pillai_trace(np.stack([each @ self.whitened for each in indicators], axis=1), gram)
        f, df1, df2 = pillai_f(trace, np.full(len(trace), len(counts)), n, k, basis.shape[1])
        small = f > stats.f.isf(largest, df1[0], df2[0])
        table = {
            "n_ref": n - counts.sum(axis=0)[small],
            "n_het": counts[0][small],
            "n_hom": counts[1][small] if len(counts) == 2 else np.zeros(small.sum()),
            "df1": df1[small],
            "neg_log10_p": neg_log10_f(f[small], df1[small], df2[small]),
        }
        return table["neg_log10_p"], self.correction.neg_log10_p(table, "genotype")


def draw_groups(generator, groups, carriers, weights):
    """Draw groups of distinct people; gives their indicators, a sparse (groups, n) matrix."""
    # A person stands in the urn as often as their weight says.
    urn = np.repeat(np.arange(len(weights), dtype=np.int32), weights)
    people = np.empty((0, carriers), dtype=np.int32)
    while len(people) < groups:
        drawn = np.sort(urn[generator.integers(0, len(urn), (groups, carriers))], axis=1)
        people = np.vstack([people, drawn[(np.diff(drawn, axis=1) > 0).all(axis=1)]])[:groups]
    return indicator_rows(people, len(weights))


def draw_hardy_weinberg(generator, groups, homozygotes, n):
    """Draw heterozygotes and rarer homozygotes, as many as expected: two indicator matrices."""
    frequency = np.sqrt(homozygotes / n)
    heterozygotes = round(2 * frequency * (1 - frequency) * n)
    people = np.tile(np.arange(n, dtype=np.int32), (groups, 1))
    people = generator.permuted(people, axis=1)[:, : heterozygotes + homozygotes]
    return [
        indicator_rows(people[:, :heterozygotes], n),
        indicator_rows(people[:, heterozygotes:], n),
    ]


def indicator_rows(people, n):
    groups, size = people.shape
    starts = np.arange(0, groups * size + 1, size)
    ones = np.ones(people.size, dtype=np.float32)
    return sparse.csr_array((ones, people.ravel(), starts), shape=(groups, n))


def observed_over_nominal(generator, latents, covariates, populations, options):
    """Rows of one draw: population, carriers, transform, variants, and the ratio at each level."""
    n = len(latents)
    design = np.ones((n, 1)) if covariates is None else np.column_stack([np.ones(n), covariates])
    basis = np.linalg.qr(design)[0].astype(np.float32)
    spaces = {name: Space(latents, covariates, name) for name in options.transforms}
    cells = [(name, carriers) for name in populations for carriers in options.carriers]
    cells += [(name, None) for name in populations if populations[name] is None]
    rows = []
    for population, carriers in cells:
        weights = populations[population]
        weights = np.ones(n, dtype=int) if weights is None else weights
        wanted = options.variants // options.draws
        wanted = wanted if carriers else wanted // SHARE_OF_THREE_GROUPS
        found = {name: np.zeros(len(options.levels)) for name in LINES}
        for start in range(0, wanted, CHUNK):
            count = min(CHUNK, wanted - start)
            if carriers:
                indicators = [draw_groups(generator, count, carriers, weights)]
            else:
                indicators = draw_hardy_weinberg(generator, count, RARER_HOMOZYGOTES, n)
            for name, space in spaces.items():
                if not carriers and name != "radial":
                    continue
                plain, corrected = space.small_p(indicators, basis, max(options.levels))
                lines = {name: plain, CORRECTED: corrected} if name == "radial" else {name: plain}
                for line, values in lines.items():
                    found[line] += [(values > -np.log10(level)).sum() for level in options.levels]
        told = str(carriers) if carriers else f"HW {RARER_HOMOZYGOTES}"
        rows += [
            (population, told, line, wanted, *(found[line] / wanted / options.levels))
            for line in LINES
            if (line in spaces or (line == CORRECTED and "radial" in spaces))
            and (carriers or line in ("radial", CORRECTED))
        ]
    return rows


def measure(name, draw, options):
    """Table of one kind of latents; `draw` gives latents, covariates and populations."""
    generator = np.random.default_rng(options.seed)
    rows = [
        row
        for _ in range(options.draws)
        for row in observed_over_nominal(generator, *draw(generator), options)
    ]
    levels = [f"at {level:.0e}" for level in options.levels]
    keys = ["covariates", "carriers", "transform"]
    rows = pd.DataFrame(rows, columns=[*keys, "variants", *levels])
    grouped = rows.groupby(keys, sort=False)
    table = grouped[levels].mean()
    if options.draws > 1:
        errors = grouped[levels].sem()
    else:
        errors = np.sqrt(table.div(grouped["variants"].sum(), axis=0) / options.levels)
    table = table.join(errors.add_suffix(" ±")).reset_index()
    table.insert(0, "latents", name)
    return table


def simulated(distribution, mixed, with_covariates, options):
    """Make a function that draws latents, covariates and the populations carriers come from."""

    def draw(generator):
        latents = draw_latents(
            generator, distribution, options.participants, options.dimensions, mixed
        )
        if not with_covariates:
            return latents, None, {"none": None}
        covariates = draw_covariates(generator, options.participants)
        slopes = generator.standard_normal((covariates.shape[1], options.dimensions))
        slopes[covariates.shape[1] // 2 :] = 0
        latents = latents / latents.std(axis=0) + 0.4 * covariates @ slopes
        ancestry = np.exp(2 * covariates[:, 0] + 0.7 * covariates[:, 1])
        ancestry = np.ceil(10 * ancestry).astype(int)
        return latents, covariates, {"13": None, "13, ancestry": ancestry}

    return draw


def variance_by_group(options):
    """Make a function that draws latents which vary more in a group, all carriers' own."""

    def draw(generator):
        latents = generator.standard_normal((options.participants, options.dimensions))
        group = np.arange(options.participants) < 0.15 * options.participants
        latents[group] *= np.sqrt(1.25)
        return latents, group[:, None].astype(float), {"1, in the group": group.astype(int)}

    return draw


def read_real(path, covariates, columns):
    """Read an embedding and, of the same people, covariates."""
    embedding = Embedding.read(path)
    if covariates is None:
        return embedding.latents, None, {"none": None}
    table = read_table(covariates)
    ids = [name for name in embedding.sample_ids if name in table.index]
    design = design_matrix(table, columns, ids)[0]
    return embedding.select(ids), design, {str(design.shape[1]): None}


def draw_figure(table, level, path):
    """Draw a panel a distribution: transforms as lines over the number of carriers."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    table = table[(table["covariates"] == "none") & ~table["carriers"].str.startswith("HW")]
    table = table.assign(carriers=table["carriers"].astype(int))
    panels = list(table["latents"].unique())
    columns = min(4, len(panels))
    styles = dict(zip(LINES, ["0.6", "tab:orange", "tab:blue", "tab:green"], strict=True))
    figure, axes = plt.subplots(
        -(-len(panels) // columns),
        columns,
        figsize=(2.7 * columns, 2.6 * -(-len(panels) // columns)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    column = f"at {level:.0e}"
    for axis, panel in zip(axes.ravel(), panels, strict=False):
        axis.axhspan(0.8, 1.3, color="tab:green", alpha=0.15, linewidth=0)
        for line, of_line in table[table["latents"] == panel].groupby("transform", sort=False):
            axis.errorbar(
                of_line["carriers"],
                of_line[column],
                2 * of_line[f"{column} ±"],
                color=styles[line],
                linestyle="--" if line == CORRECTED else "-",
                marker="o",
                # Where they coincide, the corrected line lies dashed on a broader one.
                markersize=5 if line == "radial" else 3,
                linewidth=2.6 if line == "radial" else 1.4,
                label="radial, corrected" if line == CORRECTED else line,
            )
        axis.set(xscale="log", yscale="log", ylim=(0.4, 600), title=panel)
        axis.title.set_fontsize(10)
        carriers = sorted(table["carriers"].unique())
        axis.xaxis.set(major_locator=FixedLocator(carriers), minor_locator=NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("carriers", fontsize=10)
    figure.supylabel(f"observed / nominal at p < {level:g}", fontsize=10)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=1_000_000, help="null variants a cell")
    parser.add_argument("--draws", type=int, default=10, help="of latents, in each cell")
    parser.add_argument("--carriers", type=int, nargs="*", default=[10, 20, 50])
    parser.add_argument("--levels", type=float, nargs="*", default=[1e-3, 1e-4, 1e-5])
    parser.add_argument("--transforms", nargs="*", default=TRANSFORMS[::-1], choices=TRANSFORMS)
    parser.add_argument(
        "--distributions", nargs="*", default=list(DISTRIBUTIONS), choices=list(DISTRIBUTIONS)
    )
    parser.add_argument("--participants", type=int, default=3000, help="of simulated latents")
    parser.add_argument("--dimensions", type=int, default=32, help="of simulated latents")
    parser.add_argument("--embedding", type=Path, nargs="*", default=[], help="latents instead")
    parser.add_argument("--covariates", type=Path, help="table of the embedded people")
    parser.add_argument("--columns", nargs="*", default=[], help="of the covariates")
    parser.add_argument("--figure", type=Path, help="draw the table without covariates")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the variants")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.quick:
        options.variants //= 20
    tables = []
    for path in options.embedding:
        real = read_real(path, options.covariates, options.columns)
        tables.append(measure(path.parent.name, lambda _, real=real: real, options))
        show(tables)
    if not options.embedding:
        for mixed in (False, True):
            for distribution in options.distributions:
                name = f"{distribution}, {'mixed' if mixed else 'independent'}"
                for with_covariates in (False, True):
                    draw = simulated(distribution, mixed, with_covariates, options)
                    tables.append(measure(name, draw, options))
                    show(tables)
        tables.append(measure("Gaussian, variance by group", variance_by_group(options), options))
        show(tables)
    if options.figure:
        draw_figure(pd.concat(tables), 1e-4, options.figure)


def show(tables):
    """Print the newest table, with the heading before the first."""
    text = tables[-1].to_csv(sep="\t", index=False, header=len(tables) == 1, float_format="%.2f")
    print(text, end="", flush=True)


if __name__ == "__main__":
    main()
