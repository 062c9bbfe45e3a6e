"""Two runs compared: what is refused, what is said, and what is made anew."""

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.experiment.two_runs.compare import compare_runs
from regreveal.phenome.phewas.run import read_phewas
from regreveal.phenome.probes.run import run_probes
from regreveal.store.cohort import read_table
from regreveal.store.embedding import Embedding

from .latex_parser import Tex
from .little_runs import PEOPLE, make_data, make_run, sample_ids


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def one(tmp_path_factory, data) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "one", data)


@pytest.fixture(scope="module")
def two(tmp_path_factory, data) -> Path:
    """The same people and settings, another seed."""
    return make_run(tmp_path_factory.mktemp("runs") / "two", data, seed=2)


@pytest.fixture(scope="module")
def compared(tmp_path_factory, one, two) -> Path:
    """The native arm of one run against the registered arm of the other."""
    out = tmp_path_factory.mktemp("compared") / "out"
    compare_runs(one, two, out, arms=("native", "registered"))
    return out


@pytest.fixture
def written(monkeypatch) -> dict:
    """What was to be written by the last comparison, which then draws no figure."""
    given = {}

    def keep(folder, name, table, arms, asked, notes, in_tens):
        given.update(table=table, arms=arms, asked=asked, told=" ".join(notes), in_tens=in_tens)

    monkeypatch.setattr("regreveal.experiment.two_runs.compare.write_two_runs", keep)
    return given


def copy_of(run: Path, folder: Path) -> Path:
    return shutil.copytree(run, folder)


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def without(run: Path, folder: Path, count: int) -> Path:
    """A run like another that has not analysed so many of its participants."""
    other = copy_of(run, folder)
    participants = other / "comparisons/alignment/participants.parquet"
    pd.read_parquet(participants).iloc[count:].to_parquet(participants)
    return other


def table_of(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "comparison.tsv", sep="\t")


def text_of(out: Path) -> str:
    page = re.sub(r"base64,[^\"]*", "", (out / "comparison.html").read_text())
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ").split())


def test_probes_are_made_anew_of_both_embeddings_and_their_differences_are_paired(
    compared, one, two, data
):
    people = sample_ids()
    folds = read_table(one / "comparisons/alignment/participants.parquet")["fold"].loc[people]
    arms = {
        "native": Embedding.read(one / "arms/native/embedding.parquet").select(people),
        "registered": Embedding.read(two / "arms/registered/embedding.parquet").select(people),
    }
    targets = read_table(data / "phenotypes.tsv").loc[people, ["pr_interval", "smoking"]]
    means = run_probes(arms, targets, folds, baseline="native").means.set_index("metric")
    row = table_of(compared).iloc[1]
    assert row["arm"] == "registered"
    assert row["r2_difference"] == pytest.approx(means.loc["r2", "difference"], abs=1e-6)
    assert row["r2_difference_low"] == pytest.approx(means.loc["r2", "low"], abs=1e-6)
    assert row["auc_p"] == pytest.approx(means.loc["auc", "p"], abs=1e-6)
    assert row["r2"] > 0.7


def test_the_gwas_of_the_same_people_are_those_of_the_runs(compared, one, two):
    for run, arm in ((one, "native"), (two, "registered")):
        for name in ("gwas/manova.tsv.gz", "gwas/loci.tsv"):
            theirs = run / "comparisons/alignment" / arm / name
            assert (compared / "comparisons/runs" / arm / name).read_bytes() == theirs.read_bytes()
    native, registered = table_of(compared).to_dict("records")
    assert (native["loci"], registered["loci"]) == (0, 2)
    assert registered["loci_shared"] == 0


def test_the_phewas_of_both_have_the_same_halves(compared, one, two):
    first = read_phewas(compared / "comparisons/runs/native/phewas/phewas.tsv")
    theirs = read_phewas(one / "comparisons/alignment/native/phewas/phewas.tsv")
    pd.testing.assert_frame_equal(first, theirs)
    told = json.loads((compared / "comparisons/runs/registered/phewas/phewas.json").read_text())
    assert told["seed"] == 1  # of the first run, where the second has 2
    assert table_of(compared).loc[1, "phecodes_tested"] == 1
    assert (compared / "comparisons/runs/phewas_differences.tsv").exists()


def test_table_page_figures_and_latex_are_written(compared):
    tables = Tex((compared / "comparison.tex").read_text()).tables
    assert len(tables) >= 4
    assert all(len(table["rows"]) >= 3 for table in tables)
    text = text_of(compared)
    assert "registered against native, of two runs" in text
    for told in (
        f"Both runs have analysed the same {PEOPLE} participants",
        "native: arm native of the run in one, by RegReveal",
        "registered: arm registered of the run in two",
        "Made anew of both arms, as in native's run: probes in its folds and the PheWAS in its",
    ):
        assert told in text
    for name in ("runs-miami", "runs-probes"):
        assert (compared / f"figures/{name}.png").stat().st_size > 5000
        assert (compared / f"figures/{name}.pdf").exists()


def test_nobody_is_named_in_what_is_written_for_others(compared):
    for name in ("comparison.html", "comparison.tsv", "comparison.tex", "manifest.json"):
        assert "person-" not in (compared / name).read_text()


def test_arms_of_the_same_name_are_told_apart_and_the_baseline_can_be_the_second(
    one, two, tmp_path, written
):
    compare_runs(one, two, tmp_path / "out", baseline="b")
    table = written["table"]
    assert table["arm"].tolist() == ["registered_B", "registered_A"]
    assert table["baseline"].tolist() == ["", "registered_B"]
    # Both know the two loci.
    assert table["loci_shared"].tolist() == [2, 2]


def test_a_run_against_itself_has_no_difference(one, tmp_path, written):
    edited = copy_of(one, tmp_path / "edited")
    edit(edited / "experiment.toml", '[phewas]\ncovariates = ["age"]\n', "")
    compare_runs(one, edited, tmp_path / "out")
    row = written["table"].iloc[1]
    assert row["r2_difference"] == 0
    assert row["r2_difference_low"] == row["r2_difference_high"] == 0
    assert (row["r2_p"], row["targets_better"], row["targets_worse"]) == (1, 0, 0)
    assert "Not compared, since only registered_A's run has it: PheWAS." in written["told"]


def test_the_runs_are_left_as_they_were(one, two, tmp_path, written):
    def state(folder):
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = state(one), state(two)
    compare_runs(one, two, tmp_path / "out")
    assert (state(one), state(two)) == before


def test_what_is_done_is_not_done_again(one, two, compared, written, capsys):
    compare_runs(one, two, compared, arms=("native", "registered"))
    stages = capsys.readouterr().err.splitlines()
    assert len(stages) >= 6
    assert all(line.endswith(": done before") for line in stages)


def refused(a, b, out, match, **options):
    with pytest.raises(InputError, match=match) as error:
        compare_runs(a, b, out, **options)
    assert "\n" not in str(error.value)
    assert "person-" not in str(error.value)
    assert not (out / "comparison.html").exists()


def test_other_participants_are_refused_and_counted(one, two, tmp_path):
    refused(
        one,
        without(two, tmp_path / "fewer", 10),
        tmp_path / "out",
        r"participants analysed differ: 10 only in registered_A, 0 only in registered_B, "
        r"250 in both; --common-participants",
    )


def test_fewer_than_five_participants_are_not_counted_out(one, two, tmp_path):
    but_two = without(two, tmp_path / "but_two", 2)
    told = r"fewer than 5 only in registered_A, 0 only in registered_B, about 260 in both"
    refused(one, but_two, tmp_path / "out", told)
    compare_runs(one, but_two, tmp_path / "out", allowed=["participants"])
    shown = [tmp_path / "out" / f"comparison.{suffix}" for suffix in ("html", "tex", "tsv")]
    for file in (*shown, *(tmp_path / "out/tables").iterdir()):
        text = re.sub(r"base64,[^\"]*", "", file.read_text())
        assert "260" in text or file not in shown
        assert not re.search(r"\b258\b", text)


def test_common_participants_are_analysed_anew(one, two, tmp_path, written):
    out = tmp_path / "out"
    fewer = without(two, tmp_path / "fewer", 10)
    compare_runs(one, fewer, out, arms=("native", "registered"), allowed=["participants"])
    table = written["table"]
    assert table["participants"].tolist() == [250, 250]
    for arm in ("native", "registered"):
        told = json.loads((out / "comparisons/runs" / arm / "gwas/gwas.json").read_text())
        assert told["participants"]["analysed"] == 250
        told = json.loads((out / "comparisons/runs" / arm / "phewas/phewas.json").read_text())
        assert told["participants"] == 250
    assert table["loci"].tolist() == [0, 2]
    assert "Everything is of the 250 participants whom both runs have analysed" in written["told"]
    told = "Told and not refused: the participants analysed differ: 10 only in native"
    assert told in written["told"]
    assert not written["in_tens"]


def _more_latents(run):
    file = run / "arms/registered/embedding.parquet"
    embedding = Embedding.read(file)
    wider = np.hstack([embedding.latents, embedding.latents[:, ::-1] ** 2])
    Embedding(embedding.sample_ids, wider, {}).write(file)
    edit(run / "arms/registered/model/model.json", '"latent_size": 4', '"latent_size": 8')


def _fewer_targets(run):
    edit(run / "experiment.toml", '["pr_interval", "smoking"]', '["pr_interval"]')


def _other_coding(run):
    gwas = run / "comparisons/alignment/registered/gwas/gwas.json"
    edit(gwas, '"coding": "additive"', '"coding": "genotype"')


def _other_frequencies(run):
    file = run / "comparisons/alignment/registered/gwas/manova.tsv.gz"
    table = pd.read_csv(file, sep="\t")
    table.loc[:4, "alt_frequency"] += 0.01
    # Not indexed anew: loci are then looked up in the table of before.
    table.to_csv(file, sep="\t", index=False, na_rep="NA")


def _other_variants(run):
    file = run / "comparisons/alignment/registered/gwas/manova.tsv.gz"
    table = pd.read_csv(file, sep="\t")
    table.iloc[3:].to_csv(file, sep="\t", index=False, na_rep="NA")


def _other_diagnoses(run):
    file = run / "comparisons/alignment/registered/phewas/phewas.tsv"
    table = pd.read_csv(file, sep="\t", dtype={"phecode": str})
    table.assign(n_cases=table["n_cases"] - 3).to_csv(file, sep="\t", index=False)


def _other_phewas_covariates(run):
    edit(run / "experiment.toml", '[phewas]\ncovariates = ["age"]', "[phewas]")


@pytest.mark.parametrize(
    ("change", "told", "option"),
    [
        (_more_latents, "the latent sizes differ: 4 in registered_A and 8 in reg", "latents"),
        (_fewer_targets, "targets of the probes differ: only in registered_A: smoking", "targets"),
        (_other_coding, "GWAS coding differs: additive and genotype", "gwas"),
        (_other_frequencies, r"genotypes differ: 5 of 60 variants", "gwas"),
        (_other_variants, "variants tested differ: 3 only in registered_A, 0 only in", "gwas"),
        (_other_diagnoses, "diagnoses differ: 1 phecodes", "phewas"),
        (_other_phewas_covariates, "PheWAS covariates differs: age and none", "phewas"),
    ],
)
def test_what_differs_is_refused_unless_it_is_allowed(one, two, tmp_path, change, told, option):
    other = copy_of(two, tmp_path / "other")
    change(other)
    refused(one, other, tmp_path / "out", f"{told}.*; --allow-different-{option}")


@pytest.mark.parametrize(
    ("change", "option"),
    [
        (_more_latents, "latents"),
        (_fewer_targets, "targets"),
        (_other_coding, "gwas"),
        (_other_phewas_covariates, "phewas"),
    ],
)
def test_what_is_allowed_to_differ_is_said_in_the_note(one, two, tmp_path, written, change, option):
    other = copy_of(two, tmp_path / "other")
    change(other)
    compare_runs(one, other, tmp_path / "out", allowed=[option])
    assert "Told and not refused: " in written["told"]
    assert "differ" in written["told"]
    targets = written["table"]["auc_targets"]
    assert targets.isna().all() if option == "targets" else (targets == 1).all()


def test_other_values_of_the_same_people_are_refused(one, two, data, tmp_path, written):
    changed = copy_of(data, tmp_path / "data")
    table = read_table(changed / "phenotypes.tsv")
    table["pr_interval"] += 0.5
    table.to_csv(changed / "phenotypes.tsv", sep="\t")
    other = copy_of(two, tmp_path / "other")
    edit(other / "experiment.toml", str(data), str(changed))
    refused(one, other, tmp_path / "out", "other values of pr_interval; --allow-different-targets")
    compare_runs(one, other, tmp_path / "out", allowed=["targets"])
    assert written["table"]["r2"].isna().all()


def test_a_run_of_several_comparisons_has_to_be_told_which_arm(one, two, tmp_path, written):
    several = copy_of(one, tmp_path / "several")
    file = several / "experiment.toml"
    file.write_text(
        file.read_text() + '\n[comparisons.again]\nbaseline = "registered"\nagainst = "native"\n'
    )
    shutil.copytree(several / "comparisons/alignment", several / "comparisons/again")
    refused(several, two, tmp_path / "out", r"2 comparisons \(alignment, again\).*--arm-a")
    compare_runs(several, two, tmp_path / "out", arms=("registered", None))
    participants = several / "comparisons/again/participants.parquet"
    pd.read_parquet(participants).iloc[5:].to_parquet(participants)
    told = r"2 comparisons of other participants.*--comparison-a"
    refused(several, two, tmp_path / "new", told, arms=("registered", None))
    options = {"arms": ("registered", None), "comparisons": ("alignment", None)}
    compare_runs(several, two, tmp_path / "new", **options)


def test_what_is_no_finished_run_or_no_arm_is_refused(one, two, tmp_path):
    refused(tmp_path, two, tmp_path / "out", r"no experiment\.toml")
    refused(one, two, tmp_path / "out", r"no arm 'brain'.*native, registered", arms=("brain", None))
    refused(one, two, one / "out", r"is in the run folder")
    refused(one, two, two, r"is the folder of a run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/figures").mkdir()
    refused(one, two, tmp_path / "mine", r"holds other files")
    broken = copy_of(one, tmp_path / "broken")
    manifest = json.loads((broken / "manifest.json").read_text())
    manifest["stages"]["splits"]["finished"] = False
    (broken / "manifest.json").write_text(json.dumps(manifest))
    refused(broken, two, tmp_path / "out", r"stage 'splits' has not finished")


def test_runs_whose_data_are_gone_are_refused_and_one_run_s_are_enough(
    one, two, data, tmp_path, written
):
    moved = [copy_of(run, tmp_path / run.name) for run in (one, two)]
    for run in moved:
        edit(run / "experiment.toml", str(data), "/nowhere")
    refused(*moved, tmp_path / "out", "the data of neither run are here")
    compare_runs(one, moved[1], tmp_path / "out")
    assert "those of the other stand for both" in written["told"]


def test_the_command_says_where_the_page_is_and_hands_on_what_is_allowed(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    given = {}

    def pretend(*arguments, **named):
        given.update(named, runs=arguments)
        return tmp_path / "comparison.html"

    monkeypatch.setattr("regreveal.experiment.two_runs.compare.compare_runs", pretend)
    arguments = ["compare", "one", "two", "--out", "out", "--arm-b", "x", "--baseline", "b"]
    arguments += ["--common-participants", "--allow-different-gwas"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "comparison.html" in result.output
    assert given["allowed"] == ["participants", "gwas"]
    assert given["arms"] == (None, "x")
    assert given["baseline"] == "b"
