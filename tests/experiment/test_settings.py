from pathlib import Path

import pytest

from regreveal.errors import InputError
from regreveal.experiment.data import DataPaths
from regreveal.experiment.experiment_file import load_experiment
from regreveal.experiment.preflight import check_names
from regreveal.store.cohort import read_table

EXPERIMENTS = sorted(Path(__file__).parents[2].joinpath("experiments").glob("*.toml"))

SMALLEST = """
title = "Smallest"
[data.simulate]
[arms.native]
tensor_map = "ecg.rest_10s"
[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }
[comparisons.alignment]
baseline = "native"
against = "registered"
"""


CHAIN = """
title = "One registration after another"
[data.simulate]
[arms.native]
tensor_map = "brain.t1_native"
[arms.affine]
tensor_map = "brain.t1_mni"
registration = { method = "Affine", input = "brain.t1_native" }
[arms.elastic]
after = "affine"
tensor_map = "brain.t1_mni"
registration = { method = "VoxelMorph", input = "brain.t1_mni" }
[arms.region]
after = "affine"
tensor_map = "brain.t1_mni"
"""


LATENTS = """
title = "Latents without an autoencoder"
[data.simulate]
[arms.cine]
tensor_map = "cardiac.lax_4ch_small"
[arms.cycle]
tensor_map = "cardiac.lax_4ch_small"
registration = { method = "DeepCycle", input = "cardiac.lax_4ch_small" }
[arms.aligned]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }
[arms.ecg_fused]
tensor_map = "ecg.median"
after = "aligned"
fusion = "heart"
[arms.cine_fused]
tensor_map = "cardiac.lax_4ch_small"
fusion = "heart"
[fusions.heart]
warm_start = ["cine", "aligned"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_that_is_shipped_is_valid(path):
    assert load_experiment(path).arms


def test_arms_share_the_autoencoder_but_for_what_they_change(tmp_path):
    text = SMALLEST + "[autoencoder]\nlatent_size = 8\nsteps = 10\n"
    text += "[arms.native.autoencoder]\nsteps = 20\n"
    arms = load_experiment(written(tmp_path, text)).arms
    assert (arms["native"].autoencoder.latent_size, arms["native"].autoencoder.steps) == (8, 20)
    registered = arms["registered"].autoencoder
    assert (registered.latent_size, registered.steps) == (8, 10)


def test_an_arm_goes_on_from_another(tmp_path):
    experiment = load_experiment(written(tmp_path, CHAIN))
    for arm in ("affine", "elastic"):
        assert experiment.first_input(arm) == "brain.t1_native"
    check_names(experiment)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'after = "affine"',
            'after = "native"',
            r"no registered arm above it \(there are: affine\)",
        ),
        ('after = "affine"', 'after = "elastic"', "no registered arm above it"),
        ('Affine", ', 'Affine", exemplar = "bmi", reference = "a.npy", ', "at most one"),
    ],
)
def test_a_chain_that_does_not_fit_is_named(tmp_path, old, new, message):
    assert old in CHAIN
    with pytest.raises(InputError, match=message):
        load_experiment(written(tmp_path, CHAIN.replace(old, new, 1)))


def test_a_chain_goes_on_from_the_whole_of_what_an_arm_shows_a_region_of(tmp_path):
    text = CHAIN.replace(
        '"brain.t1_mni"\nregistration = { method = "Affine"',
        '"brain.t1_brain"\nregistration = { method = "Affine"',
    )
    assert text != CHAIN
    check_names(load_experiment(written(tmp_path, text)))


def test_a_view_of_another_tensor_is_no_part_of_a_chain(tmp_path):
    text = CHAIN.replace('input = "brain.t1_mni"', 'input = "brain.t1_native"')
    with pytest.raises(InputError, match=r"view of 'brain/t1_native', but 'affine' gives"):
        check_names(load_experiment(written(tmp_path, text)))
    text = CHAIN[: CHAIN.rindex("tensor_map")] + 'tensor_map = "dxa.body"\n'
    with pytest.raises(InputError, match=r"dxa.body is a view of 'dxa/body', but 'affine' gives"):
        check_names(load_experiment(written(tmp_path, text)))


def test_what_gives_latents_itself_has_no_autoencoder(tmp_path):
    experiment = load_experiment(written(tmp_path, LATENTS))
    has = {name: arm.autoencoder is not None for name, arm in experiment.arms.items()}
    fused = ("ecg_fused", "cine_fused")
    assert has == {"cine": True, "cycle": False, "aligned": True} | dict.fromkeys(fused, False)
    assert experiment.arms_of("heart") == [*fused]
    assert experiment.first_input("ecg_fused") == "ecg.rest_10s"
    check_names(experiment)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'Cycle", input = "cardiac.lax_4ch_small" }',
            'Cycle", input = "cardiac.lax_4ch_small" }\nautoencoder = { steps = 3 }',
            "arms.cycle: has an autoencoder, but its latents are those of DeepCycle",
        ),
        (
            'after = "aligned"\nfusion',
            "autoencoder = { steps = 3 }\nfusion",
            "arms.ecg_fused: has an autoencoder, but its latents are those of a fusion",
        ),
        (
            'after = "aligned"\nfusion',
            'registration = { method = "QRSAlignment", input = "ecg.rest_10s" }\nfusion',
            "arms.ecg_fused: has a fusion and a registration; expected one of them",
        ),
        (
            'after = "aligned"',
            'after = "cycle"',
            r"no registered arm above it \(there are: aligned",
        ),
        (
            'fusion = "heart"',
            'fusion = "hart"',
            r"ecg_fused: no fusion 'hart' \(there are: heart\)",
        ),
        (
            'after = "aligned"\nfusion = "heart"',
            "",
            r"heart: 1 arm names it \(cine_fused\); expected",
        ),
        (
            'tensor_map = "ecg.median"\nafter = "aligned"',
            'tensor_map = "cardiac.lax_4ch_small"',
            "the arms 'ecg_fused' and 'cine_fused' are both of cardiac.lax_4ch_small",
        ),
        ('["cine", "al', '["cycle", "al', r"warm_start from 'cycle', which is no arm with an auto"),
        ('["cine", "al', '["cine", "cine", "al', "warm_start names two arms of cardiac.lax_4ch"),
        (
            '[arms.cine]\ntensor_map = "cardiac.lax_4ch_small"',
            '[arms.cine]\ntensor_map = "dxa.body"',
            "warm_start from 'cine', which is of dxa.body; expected one of ecg.median, cardiac",
        ),
        ("warm_start", "latent_size = 8\nwarm_start", "which has 16 latents; the fusion has 8"),
        ("warm_start", "warmstart", "did you mean 'warm_start'"),
        ("fusions.heart", "fusions.oracle", "fusion 'oracle'"),
    ],
)
def test_a_fusion_that_does_not_fit_is_named(tmp_path, old, new, message):
    assert old in LATENTS
    with pytest.raises(InputError, match=message) as raised:
        load_experiment(written(tmp_path, LATENTS.replace(old, new, 1)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"DeepCycle", input',
            '"DeepCycle", parameters = { speed = 3 }, input',
            "cycle: DeepCycle",
        ),
        ('"DeepCycle", input', '"DeepCycle", exemplar = "bmi", input', "takes no reference"),
        ('"DeepCycle", input', '"DropFuse", input', "several modalities at once; name a fusion"),
        (
            'DeepCycle", input = "cardiac.lax_4ch_small"',
            'DeepCycle", input = "cardiac.lax_4ch"',
            "gives latents of what it takes, cardiac.lax_4ch, and no tensors of cardiac.lax_4ch_sm",
        ),
    ],
)
def test_what_a_registration_that_gives_latents_cannot_do_is_named(tmp_path, old, new, message):
    assert old in LATENTS
    with pytest.raises(InputError, match=message):
        check_names(load_experiment(written(tmp_path, LATENTS.replace(old, new, 1))))


def test_a_class_of_the_package_that_is_no_method_is_named(tmp_path):
    experiment = load_experiment(written(tmp_path, SMALLEST.replace("QRSAlignment", "Registered")))
    with pytest.raises(InputError, match="arms.registered: no registration 'Registered'"):
        check_names(experiment)


def test_people_learned_from_are_not_simulated_again_to_be_analysed(tmp_path):
    text = "title = 'x'\nseed = 4\n[data.simulate]\n[arms.one]\ntensor_map = 'ecg.median'\n"
    text += "[training.simulate]\n"
    with pytest.raises(InputError, match="both have the seed 4: the same people would be learned"):
        load_experiment(written(tmp_path, text))
    with pytest.raises(InputError, match="both have the seed 4"):
        load_experiment(written(tmp_path, text + "seed = 4\n"))
    experiment = load_experiment(written(tmp_path, text + "seed = 5\n"))
    assert experiment.seed_of(experiment.training.simulate) == 5
    assert experiment.seed_of(experiment.data.simulate) == 4


def test_a_comparison_may_probe_targets_of_its_own(tmp_path):
    text = SMALLEST + 'targets = ["heart_rate"]\n[probes]\n'
    assert load_experiment(written(tmp_path, text)).targets_of("alignment") == ["heart_rate"]
    with pytest.raises(InputError, match=r"comparisons.alignment has no targets of its own"):
        load_experiment(written(tmp_path, SMALLEST + "[probes]\n"))
    with pytest.raises(InputError, match=r"categorical: 'sex' is not among the targets"):
        load_experiment(written(tmp_path, text + 'categorical = ["sex"]\n'))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tensor_map = ", "tensor_mop = 1\ntensor_map = ", "did you mean 'tensor_map'"),
        ("method = ", "methods = 1, method = ", "did you mean 'method'"),
        ("[data.simulate]", "[data.simulate]\nparticpants = 5", "did you mean 'participants'"),
        ("[data.simulate]", "[data.simulate]\nparticipants = 5", "greater than or equal to 100"),
        ("[data.simulate]", '[data.simulate]\nseed = "x"', "data.simulate.seed is 'x'"),
        ("[data.simulate]", "[gwas]\n[data.simulate]\n[splts]", "did you mean 'splits'"),
        ("[data.simulate]", '[data]\nfolder = "x"\n[data.simulate]', "got simulate and folder"),
        ("[data.simulate]", "[data]", "got none of simulate, folder and tensors"),
        ("[data.simulate]", '[gwas]\ncoding = "dominant"\n[data.simulate]', "'genotype' or 'addit"),
        ("[data.simulate]", "[splits]\ntrain = 0.5\n[data.simulate]", "expected 1"),
        ('against = "registered"', 'against = "aligned"', r"no arm 'aligned' \(there are: native"),
        ('against = "registered"', 'against = "native"', "both arms are 'native'"),
        ("arms.native", "arms.'a/b'", "expected letters, digits"),
        ('title = "Smallest"', "", "key 'title' is missing"),
        (
            "[data.simulate]",
            "[autoencoder]\nstep = 3\n[data.simulate]",
            "unknown key 'autoencoder.s",
        ),
        ('title = "Smallest"', 'title = "x"\nautoencoder = 3', "autoencoder is 3"),
        ("[data.simulate]", "[clusters]\n[data.simulate]", r"there is no table \[gwas\]"),
        ("[data.simulate]", '[data]\ncohort = "x"\n[data.simulate]', "leave 'cohort' out"),
        (
            "[comparisons.alignment]",
            '[probes]\ntargets = ["a"]\n[splits]\ntrain = 0.9\nvalidation = 0.1\nanalysis = 0\n'
            "[comparisons.alignment]",
            "splits.analysis is 0",
        ),
        (
            "[data.simulate]",
            '[probes]\ntargets = ["a"]\ncategorical = ["b"]\n[data.simulate]',
            "'b' is not among the targets",
        ),
        ('title = "Smallest"', "title = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, old, new, message):
    path = written(tmp_path, SMALLEST.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as raised:
        load_experiment(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[replication]", r"replication is of the GWAS's loci; there is no table \[gwas\]"),
        ("[replication]\nhalves = 3\n[gwas]", "unknown key 'replication.halves'"),
        ('[recurrence]\narms = ["native"]', r"recurrence is of the GWAS's loci"),
        ("[gwas]\n[recurrence]\narms = []", "at least 1 item"),
        ("[gwas]\n[recurrence]\nseeds = 2", "key 'recurrence.arms' is missing"),
        ('[gwas]\n[recurrence]\narms = ["native"]\nseeds = 0', "greater than or equal to 1"),
        ("[directions]", r"directions are of loci and diseases; there is no table \[gwas\] or"),
        ("[directions]\nsteps = [0, 1]\n[gwas]", "increasing scores on both sides of 0, and 0"),
        ("[directions]\nsteps = [-1, 1]\n[gwas]", "increasing scores on both sides of 0, and 0"),
        ("[directions]\nvariants = -1\n[gwas]", "greater than or equal to 0"),
        (
            '[gwas]\n[recurrence]\narms = ["nativ"]',
            r"'nativ' is no arm with an autoencoder of its own \(there are: native, registered\)",
        ),
    ],
)
def test_what_is_wrong_with_an_analysis_of_the_gwas_is_named(tmp_path, table, message):
    with pytest.raises(InputError, match=message) as raised:
        load_experiment(written(tmp_path, f"{SMALLEST}\n{table}\n"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("cycle", "no arm with an autoencoder"),
        ("cine_fused", "no arm with an autoencoder"),
        ("aligned", "'aligned' is in no comparison"),
    ],
)
def test_only_an_arm_whose_autoencoder_is_compared_can_be_trained_again(tmp_path, arm, message):
    text = LATENTS + '[comparisons.hearts]\nbaseline = "cine"\nagainst = "cycle"\n[gwas]\n'
    with pytest.raises(InputError, match=message):
        load_experiment(written(tmp_path, text + f'[recurrence]\narms = ["{arm}"]\n'))


def test_further_seeds_follow_that_of_the_experiment(tmp_path):
    text = f"seed = 7\n{SMALLEST}[gwas]\n" + '[recurrence]\narms = ["native"]\nseeds = 3\n'
    experiment = load_experiment(written(tmp_path, text))
    assert experiment.further_seeds("native") == [8, 9, 10]
    assert experiment.further_seeds("registered") == []


def test_an_analysis_without_a_comparison_is_refused(tmp_path):
    text = SMALLEST[: SMALLEST.index("[comparisons")] + "[gwas]\n"
    with pytest.raises(InputError, match="gwas needs a comparison"):
        load_experiment(written(tmp_path, text))


def test_a_missing_experiment_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_experiment(tmp_path / "nowhere.toml")


def test_single_files_stand_in_the_place_of_a_folders(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/cohort.tsv").write_text("sample_id\na\n")
    (tmp_path / "store").mkdir()
    text = SMALLEST.replace("[data.simulate]", f'[data]\nfolder = "{tmp_path}/site"\n%s')
    named = f'tensors = "{tmp_path}/store"\n'
    paths = DataPaths.of_settings(load_experiment(written(tmp_path, text % named)).data)
    assert (paths.tensors, paths.cohort) == (tmp_path / "store", tmp_path / "site/cohort.tsv")
    for folder, line, message in (
        ("site", "", "site: no folder 'tensors'"),
        ("sight", named, "sight: no such folder"),
    ):
        path = written(tmp_path, (text % line).replace("/site", f"/{folder}"))
        with pytest.raises(InputError, match=message):
            DataPaths.of_settings(load_experiment(path).data)


def test_a_path_leads_down_or_is_whole_and_links_are_the_sites_own(tmp_path):
    (tmp_path / "elsewhere.tsv").write_text("sample_id\na\n")
    (tmp_path / "biobank/tensors").mkdir(parents=True)
    (tmp_path / "biobank/cohort.tsv").symlink_to(tmp_path / "elsewhere.tsv")
    text = SMALLEST.replace("[data.simulate]", f'[data]\nfolder = "{tmp_path}/biobank"\n%s')
    for line in ("", f'phenotypes = "{tmp_path}/elsewhere.tsv"\n'):
        (tmp_path / "e.toml").write_text(text % line)
        paths = DataPaths.of_settings(load_experiment(tmp_path / "e.toml").data)
        assert read_table(paths.phenotypes if line else paths.cohort).index.tolist() == ["a"]
    (tmp_path / "e.toml").write_text(text % 'phenotypes = "../elsewhere.tsv"\n')
    with pytest.raises(InputError, match=r"data\.phenotypes: '\.\./elsewhere\.tsv' leads out"):
        load_experiment(tmp_path / "e.toml")
