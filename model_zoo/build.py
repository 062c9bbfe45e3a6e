"""Pack every model of the zoo from the run of train.toml: python -m model_zoo.build RUN.

Models that are there already and are of this run's training are kept, so that it goes on where it
was stopped.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from regreveal.experiment.zoo.pack import only_arm, pack
from regreveal.models.model_folder import read_model_json, sha256

ZOO = Path(__file__).parent
PAPER = ZOO.parent / "experiments" / "paper_table1.toml"


@dataclass(frozen=True)
class Model:
    """One model of the zoo.

    Parameters
    ----------
    name : str
        Of its folder.
    arm : str
        Of train.toml.
    paper_arm : str
        The row of the paper's Table 1 that it stands for, by its arm in paper_table1.toml.
    shows : str
        A sentence for the card.
    baseline : str, optional
        The model that its card compares with; above it in `MODELS`.
    """

    name: str
    arm: str
    paper_arm: str
    shows: str
    baseline: str | None = None


def _native_and_moved(view: str, series: str, shows: str) -> list[Model]:
    """Two models of a DXA view, as taken and after homography; `series` are those of the paper."""
    first = series.split()[0]
    stands = f"It stands for DXA series {' and '.join(series.split())} of Table 1"
    return [
        Model(
            f"dxa_{view}",
            f"{view}_native",
            f"dxa_{first}_native",
            f"DXA image of {shows}, as taken. {stands}, native.",
        ),
        Model(
            f"dxa_{view}_homography",
            f"{view}_homography",
            f"dxa_{first}_homography",
            f"DXA image of {shows}, moved by a homography onto one participant's. {stands}, "
            "after homography.",
            f"dxa_{view}",
        ),
    ]


def _cerebellum(name: str, part: str) -> Model:
    return Model(
        name + "_6mm",
        name,
        name,
        f"{part} in the space of the MNI152 template, 6 mm. It stands for the same at 1 mm of the "
        "paper's Figure 4 and Table 1.",
    )


def _fused(name: str, arm: str, paper_arm: str, what: str, other: str, baseline: str) -> Model:
    return Model(
        name,
        arm,
        paper_arm,
        f"{what}, in a space shared with {other} (DropFuse); the encoder takes it alone. It stands "
        "for this pair of Table 1.",
        baseline,
    )


MODELS = [
    Model(
        "ecg_rest_10s",
        "ecg_native",
        "ecg_native",
        "The ten-second 12-lead resting ECG, as recorded. It stands for the ECG of Table 1, "
        "native.",
    ),
    Model(
        "ecg_median",
        "ecg_aligned",
        "ecg_median",
        "The median beat of the resting ECG after QRS alignment. It stands for the ECG of Table 1, "
        "aligned.",
        "ecg_rest_10s",
    ),
    *_native_and_moved("body", "11", "the whole body"),
    *_native_and_moved("skeleton", "12", "the skeleton of the whole body"),
    *_native_and_moved("hip", "5 8", "a hip"),
    *_native_and_moved("spine", "2", "the lumbar spine"),
    Model(
        "brain_native_6mm",
        "brain_native",
        "brain_native",
        "T1-weighted MRI of the head as scanned, 6 mm. It stands for T1 of Table 1, native.",
    ),
    Model(
        "brain_mni_6mm",
        "brain_mni",
        "brain_mni",
        "T1-weighted MRI of the head in the space of the MNI152 template, 6 mm. It stands for T1 "
        "of Table 1, affine.",
        "brain_native_6mm",
    ),
    Model(
        "brain_only_6mm",
        "brain_stripped",
        "brain_stripped",
        "T1-weighted MRI of the brain alone, without scalp, skull and neck, in the space of the "
        "MNI152 template, 6 mm. It stands for T1 of Table 1, affine and stripped.",
        "brain_native_6mm",
    ),
    _cerebellum("cerebellum", "The cerebellum"),
    _cerebellum("cerebellum_grey", "The grey matter of the cerebellum"),
    _cerebellum("cerebellum_white", "The white matter of the cerebellum"),
    Model(
        "cine_native",
        "cine_native",
        "cardiac_native",
        "Four-chamber cine MRI, 48 × 48 pixels, 16 frames, as scanned. It stands for the long-axis "
        "cine of Table 1, native.",
    ),
    Model(
        "cine_voxelmorph",
        "cine_voxelmorph",
        "cardiac_voxelmorph",
        "Four-chamber cine MRI, every frame deformed by VoxelMorph onto the same frame of one "
        "participant's. It stands for the long-axis cine of Table 1, VoxelMorph.",
        "cine_native",
    ),
    Model(
        "cine_deepcycle",
        "cine_deepcycle",
        "cardiac_phase",
        "The phase of each frame of a four-chamber cine (DeepCycle). The decoder draws the typical "
        "heart at such phases, so it explains what all hearts share and nothing else. It stands "
        "for the long-axis cine of Table 1, DeepCycle.",
        "cine_native",
    ),
    _fused(
        "ecg_with_cine",
        "ecg_with_cine",
        "ecg_fused",
        "The median beat of the resting ECG",
        "the four-chamber cine",
        "ecg_median",
    ),
    _fused(
        "cine_with_ecg",
        "cine_with_ecg",
        "cardiac_fused",
        "The four-chamber cine",
        "the median beat of the resting ECG",
        "cine_native",
    ),
    _fused(
        "dxa_body_with_skeleton",
        "body_with_skeleton",
        "dxa_11_fused",
        "DXA image of the whole body after homography",
        "that of the skeleton",
        "dxa_body_homography",
    ),
    _fused(
        "dxa_skeleton_with_body",
        "skeleton_with_body",
        "dxa_12_fused",
        "DXA image of the skeleton after homography",
        "that of the whole body",
        "dxa_skeleton_homography",
    ),
    _fused(
        "dxa_spine_with_hip",
        "spine_with_hip",
        "dxa_2_fused",
        "DXA image of the lumbar spine after homography",
        "that of a hip",
        "dxa_spine_homography",
    ),
    _fused(
        "dxa_hip_with_spine",
        "hip_with_spine",
        "dxa_5_fused",
        "DXA image of a hip after homography",
        "that of the lumbar spine",
        "dxa_hip_homography",
    ),
]


def build(run: Path) -> None:
    """Pack what is not packed yet."""
    paper = PAPER.read_text()
    for model in MODELS:
        folder = ZOO / model.name
        if _is_packed(folder, run / "arms" / model.arm / "model"):
            print(f"{model.name}: is packed")
            continue
        facts = pack(
            run,
            model.arm,
            folder,
            shows=model.shows,
            baseline=ZOO / model.baseline if model.baseline else None,
            full_size=only_arm(paper, model.paper_arm),
            scratch=run / "evaluation",
        )
        print(json.dumps({"name": model.name, **facts["figures"]}), flush=True)


def _is_packed(folder: Path, trained: Path) -> bool:
    encoder = trained / "encoder.keras"
    if not (folder / "README.md").is_file() or not encoder.is_file():
        return False
    return read_model_json(folder)["sha256"].get("encoder.keras") == sha256(encoder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run of train.toml")
    build(parser.parse_args().run)
