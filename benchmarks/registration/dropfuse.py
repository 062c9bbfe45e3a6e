r"""DropFuse on pairs of the simulated biobank: retrieval, probes, and two faults beside it.

    python benchmarks/registration/dropfuse.py --out runs/dropfuse \
        --pairs ecg+cine body+skeleton --faults

For each pair: top-1 and top-10 retrieval among 500 held-out pairs; the R² of each modality's true
traits by its fused encoder, alone, less that by an autoencoder of it trained by the same steps,
with paired intervals; and whether traits that only the other modality shows are read off no better
than the traits that it does show allow. `--faults` adds the two of public code: the cross-entropy
with its arguments exchanged, and a fusion mask that is drawn once.
"""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

from regreveal.phenome.probes.run import run_probes
from regreveal.registration import DropFuse, QRSAlignment
from regreveal.simulation.biobank import simulate_biobank
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

LEARNED, VALIDATION, RETRIEVED = 800, 100, 500
ECG = "heart_rate pr_interval qrs_duration qt_interval frontal_axis p_amplitude r_amplitude"
CINE = "lv_volume rv_volume la_volume wall_thickness ejection_fraction heart_rate"
BODY = "bone_density shoulder_width pelvis_width trunk_length arm_length leg_length"
# What the pictures of a modality show of the true traits.
SHOWN = {
    "ecg.median": [*ECG.split(), "t_amplitude"],
    "cardiac.lax_4ch_small": CINE.split(),
    "dxa.body": [*BODY.split(), "femoral_neck_angle", "spine_curvature"],
    "dxa.skeleton": [*BODY.split(), "femoral_neck_angle", "spine_curvature"],
    "dxa.hip": ["bone_density", "pelvis_width", "trunk_length", "leg_length", "femoral_neck_angle"],
    "dxa.spine": ["bone_density", "pelvis_width", "trunk_length", "spine_curvature"],
}
PAIRS = {
    "ecg+cine": ("ecg.median", "cardiac.lax_4ch_small"),
    "body+skeleton": ("dxa.body", "dxa.skeleton"),
    "body+hip": ("dxa.body", "dxa.hip"),
    "spine+hip": ("dxa.spine", "dxa.hip"),
}


def load(biobank: Path, name: str, ids: list[str], native: bool) -> np.ndarray:
    """Tensors of a modality as models see them; NaN for those whose recording failed.

    ECGs are median beats by QRSAlignment. Images are brought back to the standard pose by the true
    matrices, unless asked for as they are: what registration reaches at best.
    """
    store, tensor_map = TensorStore(biobank / "tensors"), find_tensor_map(name)
    if name == "ecg.median":
        kept = biobank.parent / f"{biobank.name}_median.npy"
        if not kept.is_file():
            strips = find_tensor_map("ecg.rest_10s").read(store, ids)
            registered = QRSAlignment(sampling_rate=500).fit_transform(strips)
            np.save(kept, registered.tensors.astype(np.float32))
        return np.asarray(tensor_map.normalize(np.load(kept)), np.float32)
    modality, _, view = name.partition(".")
    truth = pd.read_parquet(biobank / "truth" / f"{modality}.parquet").set_index("sample_id")
    truth = truth.loc[ids]
    prefix, element = ("", "matrix_") if modality == "cardiac" else (f"{view}_", f"{view}_h")
    images = tensor_map.read(store, ids)
    if not native:
        places = [f"{element}{row}{column}" for row in range(3) for column in range(3)]
        matrices = truth[places].to_numpy(float).reshape(-1, 3, 3)
        for image, matrix in zip(images, matrices, strict=True):
            image[:] = unposed(image, matrix)
    tensors = tensor_map.normalize(images)
    tensors[(truth[f"{prefix}failure"] != "").to_numpy()] = np.nan
    return tensors


def unposed(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Look up each pixel of the standard pose where its matrix takes it."""
    size = image.shape[1::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = [
        cv2.warpPerspective(image[..., frame], matrix, size, None, flags, cv2.BORDER_REPLICATE)
        for frame in range(image.shape[-1])
    ]
    return np.stack(moved, axis=-1)


@contextlib.contextmanager
def fault(name: str) -> Iterator[None]:
    """Make DropFuse wrong as public code was, within the block."""
    from keras import ops

    from regreveal.models import fusion
    from regreveal.registration import dropfuse_training

    def exchanged(one, other, paired, scale):
        one, other = fusion.normalised(one), fusion.normalised(other)
        logits = scale * ops.matmul(one, ops.transpose(other))

        # Keras' cross-entropy of the identity, clipped to 1e-7, with probabilities as labels.
        def cross_entropy(logits):
            return -np.log(1e-7) * ops.mean(1 - ops.diagonal(ops.softmax(logits)))

        return 0.5 * (cross_entropy(logits) + cross_entropy(ops.transpose(logits)))

    def frozen(present, latent_size, rng):
        chosen = np.random.default_rng(0).permutation(latent_size) % present.shape[1]
        shares = np.zeros((*present.shape, latent_size), np.float32)
        shares[:, chosen, np.arange(latent_size)] = 1
        return shares

    kept = fusion.symmetric_info_nce, dropfuse_training.drawn_shares
    if name == "exchanged":
        fusion.symmetric_info_nce = exchanged
    if name == "frozen":
        dropfuse_training.drawn_shares = frozen
    try:
        yield
    finally:
        fusion.symmetric_info_nce, dropfuse_training.drawn_shares = kept


def single_latents(x: dict, learned, unseen, analysed, arguments) -> dict[str, np.ndarray]:
    """Latents of the analysed by an autoencoder for each modality, by the same steps and loss."""
    from regreveal.models.embedding import predict
    from regreveal.registration.dropfuse_training import Participants, fit_fusion, modality_models

    latents = {}
    for name, tensors in x.items():
        alone, everyone = {name: tensors}, np.ones((len(tensors), 1), bool)
        sources = [Participants(alone, everyone, rows) for rows in (learned, unseen)]
        parameters = {
            **settings(arguments, 0.0).get_params(),
            "architectures": {},
            "warm_start": {},
        }
        network, _ = fit_fusion(*sources, parameters, None)
        latents[name] = predict(modality_models(network, 0).encoder, tensors[analysed])
    return latents


def settings(arguments, weight: float) -> DropFuse:
    """DropFuse as the command line asks for it."""
    return DropFuse(
        latent_size=arguments.latent_size,
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        contrast_weight=weight,
        seed=arguments.seed,
        steps_per_epoch=50,
    )


def retrieval(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Share of people found by their latents of the other modality, by cosine."""
    one, other = (
        z[:RETRIEVED] / np.linalg.norm(z[:RETRIEVED], axis=1)[:, None] for z in (one, other)
    )
    cosines = one @ other.T
    found = {}
    for way, likeness in (("there", cosines), ("back", cosines.T)):
        rank = (likeness > np.diag(likeness)[:, None]).sum(axis=1)
        found |= {f"top-1 {way}": (rank < 1).mean(), f"top-10 {way}": (rank < 10).mean()}
    return found


def allowed(traits: pd.DataFrame, hidden: str, shown: list[str]) -> float:
    """Share of a trait's variance that the traits a modality shows tell, out of fold."""
    predicted = cross_val_predict(LinearRegression(), traits[shown], traits[hidden], cv=10)
    return 1 - np.square(predicted - traits[hidden]).mean() / traits[hidden].var(ddof=0)


def run_pair(pair: str, biobank: Path, arguments) -> None:
    """Print everything about one pair."""
    names = PAIRS[pair]
    people = pd.read_csv(biobank / "truth" / "traits.tsv", sep="\t", index_col="sample_id")
    measured = pd.read_csv(biobank / "phenotypes.tsv", sep="\t", index_col="sample_id")
    people["bmi"] = measured["bmi"].fillna(measured["bmi"].mean())
    ids = np.random.default_rng(arguments.seed).permutation(people.index)
    x = {name: load(biobank, name, people.index.tolist(), arguments.native) for name in names}
    order = people.index.get_indexer(ids)
    whole = np.all([np.isfinite(v.reshape(len(v), -1)).all(axis=1) for v in x.values()], axis=0)
    order = order[whole[order]]
    parts = np.split(order, [LEARNED, LEARNED + VALIDATION])
    learned, unseen, analysed = np.sort(parts[0]), np.sort(parts[1]), parts[2]
    print(
        f"\n=== {pair}: {len(learned)} learned from, {len(unseen)} to choose by, {len(analysed)} "
        f"analysed, {(~whole).sum()} left out; {arguments.steps} steps of {arguments.batch_size}",
        flush=True,
    )
    traits = people.iloc[analysed]
    folds = pd.Series(np.arange(len(traits)) % 5, traits.index)
    arms, found = {}, []
    kinds = [("fused", "", weight) for weight in arguments.weights]
    if arguments.faults:
        kinds += [(name, name, arguments.weights[0]) for name in ("exchanged", "frozen")]
    if not arguments.retrieval_only:
        arms["single"] = single_latents(x, learned, unseen, analysed, arguments)
        found.append({"arm": "single"} | retrieval(*arms["single"].values()))
    fit, choose, analyse = (
        {name: values[rows] for name, values in x.items()} for rows in (learned, unseen, analysed)
    )
    for kind, wrong, weight in kinds:
        arm = f"{kind} {weight:g}"
        started = time.process_time()
        with fault(wrong):
            fused = settings(arguments, weight).fit(fit, validation=choose)
        seconds = time.process_time() - started
        arms[arm] = {}
        flagged = 0
        for name in names:
            registered = fused.transform({name: analyse[name]})
            flagged += (~registered.qc["ok"]).sum()
            arms[arm][name] = np.nan_to_num(registered.tensors)
        found.append(
            {"arm": arm}
            | retrieval(*arms[arm].values())
            | dict(zip(("explained 1", "explained 2"), fused.explained_variance_, strict=True))
            | {"temperature": fused.temperature_, "flagged": flagged, "cpu s": seconds}
        )
    print(pd.DataFrame(found).round(3).to_string(index=False), flush=True)
    if arguments.retrieval_only:
        return
    for name, other in (names, names[::-1]):
        of_modality = {arm: latents[name] for arm, latents in arms.items()}
        shown = run_probes(of_modality, traits[SHOWN[name]], folds, "single")
        print(f"\n{name}: R² of what it shows, less that of its own autoencoder")
        columns = ["arm", "baseline_score", "score", "difference", "low", "high"]
        print(shown.means[columns].round(3).to_string(index=False))
        of_arms = shown.differences
        first = of_arms[of_arms["arm"] == next(a for a in arms if a != "single")]
        columns = ["target", "baseline_score", "score", "difference", "low", "high"]
        print(first[columns].round(3).to_string(index=False), flush=True)
        hidden = [trait for trait in SHOWN[other] if trait not in SHOWN[name]]
        if hidden:
            scores = run_probes(of_modality, traits[hidden], folds, "single").scores
            scores = scores[["arm", "target", "score", "low", "high"]]
            scores["allowed"] = [
                allowed(traits, trait, [*SHOWN[name], "bmi"]) for trait in scores["target"]
            ]
            print(f"\n{name}: R² of what only {other} shows, and what its own traits allow")
            print(scores.round(3).to_string(index=False), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the biobank")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=["ecg+cine", "spine+hip"])
    parser.add_argument("--participants", type=int, default=1900)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--latent-size", type=int, default=16)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.1], help="of the contrast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", action="store_true", help="also those of public code")
    parser.add_argument("--native", action="store_true", help="images in the poses they have")
    parser.add_argument("--retrieval-only", action="store_true", help="no probes")
    arguments = parser.parse_args()
    pd.set_option("display.width", 200)
    biobank = arguments.out / "biobank"
    simulate_biobank(
        biobank, arguments.participants, variants=2000, modalities=["ecg", "dxa", "cardiac"]
    )
    for pair in arguments.pairs:
        run_pair(pair, biobank, arguments)


if __name__ == "__main__":
    main()
