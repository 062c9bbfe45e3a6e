"""What a dry run says, against closed forms for a network small enough to count by hand."""

import re
from pathlib import Path

import pytest

from regreveal import registration
from regreveal.errors import InputError
from regreveal.experiment.dry_run import plan_run
from regreveal.experiment.estimates import (
    REGISTRATIONS,
    SCAN_LATENT_BYTES,
    Network,
    measure_network,
    scan_seconds,
)
from regreveal.experiment.experiment_file import load_experiment, parse_experiment

PAPER = Path(__file__).parents[2] / "experiments" / "paper_table1.toml"

EXPERIMENT = """
title = "Dry"
[data]
folder = "nowhere"
[autoencoder]
latent_size = 8
steps = 100
batch_size = 4
[arms.native]
tensor_map = "ecg.rest_10s"
[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }
[comparisons.alignment]
baseline = "native"
against = "registered"
[probes]
targets = ["age"]
[gwas]
[phewas]
"""


def test_operations_weights_and_values_are_counted_layer_by_layer():
    import keras
    from keras import layers

    image = keras.Input((8, 6, 3))
    inner_input = keras.Input((4, 3, 5))
    inner = keras.Model(inner_input, layers.Conv2DTranspose(2, 2, strides=2)(inner_input))
    x = layers.Conv2D(5, 3, strides=2, padding="same")(image)
    model = keras.Model(image, layers.Dense(7)(layers.Flatten()(inner(x))))
    measured = measure_network(model)
    convolution = 2 * (4 * 3) * (3 * 3 * 3 * 5)
    transposed = 2 * (4 * 3) * (2 * 2 * 2 * 5)
    dense = 2 * (8 * 6 * 2) * 7
    assert measured.operations == convolution + transposed + dense
    assert measured.weights == measured.trained == 140 + 42 + 679
    values = {"images": 144 + 60, "made": 60 + 96 + 96 + 7}
    assert measured.activations == sum(values.values())


def test_memory_of_a_step_grows_with_the_batch_and_holds_the_optimizer():
    network = Network(weights=1000, trained=900, operations=1e6, activations=50_000)
    assert network.training_bytes(1) == 4 * (2 * 50_000 + 1000 + 3 * 900)
    assert network.training_bytes(3) - network.training_bytes(2) == 4 * 2 * 50_000
    assert network.training_operations(batch_size=4, steps=10) == 3 * 1e6 * 40


@pytest.fixture
def constant_rate(monkeypatch):
    monkeypatch.setattr("regreveal.experiment.dry_run.measured_rate", lambda rank: 1e10)


def test_every_stage_is_listed_with_what_it_takes_and_costs(constant_rate):
    plan, assumed = plan_run(
        parse_experiment(EXPERIMENT, "dry.toml"), participants=1000, variants=50_000
    )
    assert plan["stage"].tolist() == [
        "registered: QRSAlignment",
        "native: train",
        "native: embed",
        "registered: train",
        "registered: embed",
        "alignment: probes",
        "alignment: latent GWAS of native",
        "alignment: latent GWAS of registered",
        "alignment: shared loci",
        "alignment: PheWAS of native",
        "alignment: PheWAS of registered",
        "Table 2",
    ]
    assert assumed == ["1,000 participants", "50,000 variants"]
    by_stage = plan.set_index("stage")
    assert by_stage.loc["registered: QRSAlignment", "output"] == "ecg.median 600 × 12"
    assert by_stage.loc["native: train", "participants"] == 250
    assert by_stage.loc["native: embed", "participants"] == 750
    estimated = ~by_stage.index.str.contains("probes|PheWAS")
    for column in ("gigabytes", "seconds"):
        assert (by_stage.loc[estimated, column] > 0).all()
        assert by_stage.loc[~estimated, column].isna().all()
    trained = by_stage.loc["native: train"]
    from regreveal.models.autoencoder import build_autoencoder

    network = build_autoencoder((5000, 12), 8).autoencoder
    assert trained["weights"] == network.count_params()
    assert trained["seconds"] == 3 * measure_network(network).operations * 400 / 1e10


LATENTS = """
title = "Phases and a fusion, dry"
[data]
folder = "nowhere"
[arms.cycle]
tensor_map = "cardiac.lax_4ch_small"
[arms.cycle.registration]
method = "DeepCycle"
input = "cardiac.lax_4ch_small"
parameters = { steps = 100, batch_size = 4 }
[arms.ecg_fused]
tensor_map = "ecg.median"
fusion = "heart"
[arms.cine_fused]
tensor_map = "cardiac.lax_4ch_small"
fusion = "heart"
[fusions.heart]
latent_size = 8
steps = 100
batch_size = 32
[comparisons.both]
baseline = "cycle"
against = "cine_fused"
[gwas]
"""


def test_a_fusion_costs_what_its_modalities_autoencoders_cost(constant_rate):
    from regreveal.models.autoencoder import build_autoencoder

    plan, _ = plan_run(parse_experiment(LATENTS, "dry.toml"), participants=1000, variants=50_000)
    fused = plan.set_index("stage").loc["heart: train DropFuse"]
    networks = [
        measure_network(build_autoencoder(shape, 8).autoencoder)
        for shape in ((600, 12), (48, 48, 16))
    ]
    assert fused["participants"] == 250
    assert fused["weights"] == sum(network.weights for network in networks)
    operations = sum(network.training_operations(32, 100) for network in networks)
    assert fused["seconds"] == pytest.approx(operations / 1e10)
    memory = sum(network.training_bytes(32) for network in networks)
    assert fused["gigabytes"] == pytest.approx(memory / 1e9)


def test_phases_are_planned_for_everyone_and_are_as_many_as_frames(constant_rate):
    plan, _ = plan_run(parse_experiment(LATENTS, "dry.toml"), participants=1000, variants=50_000)
    by_stage = plan.set_index("stage")
    assert plan["stage"].tolist()[:2] == ["cycle: fit DeepCycle", "cycle: DeepCycle"]
    assert by_stage.loc["cycle: fit DeepCycle", "output"] == "16 phases, 100 steps of 4"
    assert by_stage.loc["cycle: DeepCycle", "participants"] == 1000
    assert (by_stage["seconds"] > 0).all()
    assert by_stage.loc["both: latent GWAS of cycle", "input"].startswith("16 latents")
    assert by_stage.loc["both: latent GWAS of cine_fused", "input"].startswith("8 latents")


def test_participants_and_variants_are_counted_where_the_data_are(constant_rate, tmp_path):
    (tmp_path / "tensors").mkdir()
    ids = [f"p{i}" for i in range(40)]
    (tmp_path / "cohort.tsv").write_text("sample_id\n" + "\n".join(ids) + "\n")
    text = EXPERIMENT.replace('"nowhere"', f'"{tmp_path}"')
    plan, assumed = plan_run(parse_experiment(text, "dry.toml"), participants=1000, variants=50_000)
    assert plan["participants"].iloc[0] == 40
    assert plan["input"].str.contains("50,000 variants").sum() == 2
    assert assumed == ["50,000 variants"]
    simulated = EXPERIMENT.replace('[data]\nfolder = "nowhere"', "[data.simulate]\nvariants = 600")
    plan, assumed = plan_run(parse_experiment(simulated, "dry.toml"), participants=1, variants=1)
    assert plan["participants"].iloc[0] == 4000
    assert plan["input"].str.contains(" 600 variants").sum() == 2
    assert assumed == []


def test_those_who_learn_may_be_others_than_those_analysed(constant_rate):
    text = EXPERIMENT + "[training.simulate]\nparticipants = 300\n[splits]\n"
    text += "train = 0.6\nvalidation = 0.4\nanalysis = 0\n"
    text = text[: text.index("[probes]")] + text[text.index("[training") :]
    plan, _ = plan_run(parse_experiment(text, "dry.toml"), participants=1000, variants=1)
    people = plan.set_index("stage")["participants"]
    assert people["registered: QRSAlignment"] == 1300
    assert people["native: train"] == 300
    assert people["native: embed"] == 1000


def test_a_name_that_does_not_exist_is_said_at_once(constant_rate):
    text = EXPERIMENT.replace("ecg.median", "ecg.mean")
    with pytest.raises(InputError, match=re.escape("no tensor map 'ecg.mean'")):
        plan_run(parse_experiment(text, "dry.toml"), participants=1, variants=1)


class Site(registration.QRSAlignment):
    """A registration of a site's own."""


def test_a_registration_of_a_site_is_listed_without_an_estimate(constant_rate):
    text = EXPERIMENT.replace("QRSAlignment", f"{__name__}:Site")
    plan, _ = plan_run(parse_experiment(text, "dry.toml"), participants=100, variants=10)
    stages = plan.set_index("stage")
    registering = stages.loc[f"registered: {__name__}:Site"]
    assert registering["participants"] == 100
    assert registering[["gigabytes", "seconds"]].isna().all()
    assert stages.drop(registering.name).loc["native: train", "seconds"] > 0


def test_every_registration_that_gives_tensors_has_an_estimate():
    there = set(registration.__all__) - {"Registered", "Registration"}
    give_tensors = {name for name in there if not getattr(registration, name).gives_latents}
    assert set(REGISTRATIONS) == give_tensors


@pytest.mark.parametrize(
    ("method", "values", "seconds"),
    [
        ("QRSAlignment", 60_000, 30 * 2 / 4000),
        ("Homography", 464 * 176, 0.036),
        ("Homography", 512 * 512, 0.079),
        ("Homography", 928 * 352, 0.097),
        ("Affine", 36 * 42 * 36, 0.02),
        ("Affine", 160 * 192 * 224, 0.6),
        ("Affine", 216 * 256 * 216, 0.66),
    ],
)
def test_a_registration_takes_about_as_long_as_was_measured(method, values, seconds):
    assert 1 / 1.4 < REGISTRATIONS[method].seconds_of(values) / seconds < 1.4


@pytest.mark.parametrize(
    ("people", "latents", "microseconds", "gigabytes"),
    # On two cores, frequencies as in a population (docs/cost.md); fitted to far smaller scans.
    [(38_000, 256, 95, 1.2), (400_000, 64, 694, 2.6), (500_000, 256, 2_503 / 2, 10.6)],
)
def test_a_large_scan_takes_about_what_was_measured(people, latents, microseconds, gigabytes):
    expected = 1e6 * scan_seconds(people, latents, variants=1) / 2
    assert 1 / 1.5 < expected / microseconds < 1.5
    python = 0.43
    held = python + SCAN_LATENT_BYTES * people * latents / 1e9
    assert 1 / 1.5 < held / gigabytes < 1.5


def test_a_scan_is_planned_for_the_cores_that_there_are(constant_rate, monkeypatch):
    seconds = {}
    for cores in (1, 4):
        monkeypatch.setattr("regreveal.experiment.dry_run.available_cores", lambda c=cores: c)
        plan, _ = plan_run(parse_experiment(EXPERIMENT, "dry.toml"), 1000, 50_000)
        by_stage = plan.set_index("stage")["seconds"]
        seconds[cores] = by_stage["alignment: latent GWAS of native"]
    assert seconds[1] == pytest.approx(4 * seconds[4])
    assert seconds[1] == pytest.approx(scan_seconds(750, 8, 50_000))


def test_every_row_of_the_paper_is_planned_where_there_are_no_data(
    constant_rate, tmp_path, monkeypatch
):
    from regreveal.registration import voxelmorph_adapter

    monkeypatch.chdir(tmp_path)
    experiment = load_experiment(PAPER)
    plan, assumed = plan_run(experiment, participants=40_000, variants=9_000_000)
    assert assumed == ["40,000 participants", "9,000,000 variants"]
    by_stage = plan.set_index("stage")
    for name, arm in experiment.arms.items():
        assert (f"{name}: train" in by_stage.index) == (arm.autoencoder is not None)
        assert (f"{name}: embed" in by_stage.index) == (not arm.gives_latents)
        if arm.registration:
            assert f"{name}: {arm.registration.method}" in by_stage.index
    trained = by_stage.loc["cardiac_voxelmorph: fit VoxelMorph"]
    whole = voxelmorph_adapter.network((96, 96), (16, 32, 32, 32), 7)
    assert trained["weights"] == whole.count_params()
    assert trained["output"] == "deformations, 2,000 steps of 8"
    # Three dimensions at 1 mm: a step holds tens of gigabytes.
    assert 15 < by_stage.loc["brain_voxelmorph: fit VoxelMorph", "gigabytes"] < 40


def test_further_seeds_and_replication_are_planned(monkeypatch):
    monkeypatch.setattr("regreveal.experiment.dry_run.measured_rate", lambda rank: 1e9)
    more = '[replication]\n[recurrence]\narms = ["native"]\nseeds = 2\n'
    before, _ = plan_run(parse_experiment(EXPERIMENT, "dry.toml"), 1000, 5000)
    plan, _ = plan_run(parse_experiment(EXPERIMENT + more, "dry.toml"), 1000, 5000)
    added = [stage for stage in plan["stage"] if stage not in set(before["stage"])]
    again = [f"native{part} with seed {seed}" for seed in (2, 3) for part in (": train", "")]
    again[1::2] = [f"{name}: embed" for name in again[1::2]]
    scans = [f"alignment: latent GWAS of native with seed {seed}" for seed in (2, 3)]
    replicated = [f"alignment: replication of {arm}" for arm in ("native", "registered")]
    assert added == [*again, *scans, *replicated]
    of = plan.set_index("stage")
    assert of.loc["native: train", "weights"] == of.loc["native: train with seed 2", "weights"]


def test_clusters_directions_and_the_table_of_all_arms_are_planned(constant_rate):
    more = "[clusters]\nbootstraps = 50\n[directions]\nvariants = 3\n"
    of = {}
    for bootstraps in (50, 100):
        text = EXPERIMENT + more.replace("50", str(bootstraps))
        plan, _ = plan_run(parse_experiment(text, "dry.toml"), 1000, 5000)
        of[bootstraps] = plan.set_index("stage")
    clusters = [f"alignment: clusters of {arm}" for arm in ("native", "registered")]
    clusters.append("alignment: agreement of clusters")
    directions = [f"alignment: directions of {arm}" for arm in ("native", "registered")]
    assert plan["stage"].tolist()[-3:] == [*directions, "Table 2"]
    ratio = of[100].loc[clusters, "seconds"] / of[50].loc[clusters, "seconds"]
    assert ratio.tolist() == pytest.approx([2, 2, 2])
    assert of[50].loc[directions[0], "input"] == "4 directions, 7 steps"
    new = ["alignment: shared loci", *clusters, *directions, "Table 2"]
    assert (of[50].loc[new, ["gigabytes", "seconds"]] > 0).all(axis=None)


def test_an_experiment_without_them_plans_neither_clusters_nor_directions(constant_rate):
    plan, _ = plan_run(parse_experiment(EXPERIMENT, "dry.toml"), 1000, 5000)
    assert not plan["stage"].str.contains("clusters|directions").any()
