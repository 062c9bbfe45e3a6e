"""The experiments whose runs are written, and the arms that they name."""

ARMS = ("native", "registered")
EXPERIMENT = """\
title = "Does aligning ECGs reveal more biology?"
seed = 7

[data.simulate]
participants = 600
variants = 4000

[autoencoder]
latent_size = 16
steps = 2000

[arms.native]
tensor_map = "ecg.rest_10s"

[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }

[comparisons.alignment]
baseline = "native"
against = "registered"

[probes]
targets = ["heart_rate", "pr_interval"]
"""
# Native and registered arm, and what they show, of the comparisons of images.
IMAGE_ARMS = {
    "dxa": ("dxa_native", "dxa_homography", "dxa.body", "Homography"),
    "brain": ("brain_native", "brain_mni", "brain.t1_mni_6mm", "Affine"),
    "cardiac": ("cardiac_native", "cardiac_voxelmorph", "cardiac.lax_4ch_small", "VoxelMorph"),
}
IMAGES = "\n" + "\n".join(
    f"""\
[arms.{native}]
tensor_map = "{tensor_map}"

[arms.{registered}]
tensor_map = "{tensor_map}"
registration = {{ method = "{method}", input = "{tensor_map}" }}

[comparisons.{name}]
baseline = "{native}"
against = "{registered}"
"""
    for name, (native, registered, tensor_map, method) in IMAGE_ARMS.items()
)
# The ECGs fused with cines, of which no other arm is.
FUSED_ARMS = ("ecg_fused", "cine_fused")
FUSION = """
[arms.ecg_fused]
tensor_map = "ecg.median"
after = "registered"
fusion = "heart"

[arms.cine_fused]
tensor_map = "cardiac.lax_4ch_small"
fusion = "heart"

[fusions.heart]
latent_size = 16
warm_start = ["registered"]

[comparisons.fused]
baseline = "registered"
against = "ecg_fused"

[arms.number]
tensor_map = "cardiac.lax_4ch_small"

[arms.number.registration]
method = "DeepCycle"
input = "cardiac.lax_4ch_small"
parameters = { circular = false }

[arms.phase]
tensor_map = "cardiac.lax_4ch_small"
registration = { method = "DeepCycle", input = "cardiac.lax_4ch_small" }
"""
GENETICS = """
[gwas]
coding = "additive"
covariates = ["age", "sex"]

[phewas]
covariates = ["age", "sex"]

[clusters]
bootstraps = 100

[replication]

[recurrence]
arms = ["registered"]
seeds = 2

[directions]
"""
