"""How people's bodies differ beside their traits, and how they lie on the table."""

import numpy as np
import pandas as pd

FARTHEST_SDS = 3.0

# Factors around 1: their SDs are what is usual between adults (about 5 % for breadths of bones,
# more for soft tissue); none of them depends on genes.
FACTORS = {
    "skull_width": 0.045,
    "skull_height": 0.045,
    "jaw": 0.07,
    "neck": 0.05,
    "chest_width": 0.05,
    "bone_calibre": 0.04,
    "cortex": 0.04,
    "vertebra_width": 0.06,
    "lumbar_share": 0.02,
    "pelvis_height": 0.05,
    "hip_distance": 0.03,
    "femoral_head": 0.05,
    "neck_length": 0.09,
    "femur_share": 0.012,
    "humerus_share": 0.010,
    "hand_size": 0.03,
    "foot_size": 0.05,
    "lung": 0.08,
    "waist": 0.06,
    "hips": 0.05,
    "limb_fat": 0.05,
    "depth": 0.04,
    "skull_density": 0.04,
    "spine_density": 0.03,
    "pelvis_density": 0.03,
    "leg_density": 0.03,
    "arm_density": 0.03,
    "tissue_density": 0.02,
}
# In degrees or mm, around 0.
SHIFTS = {
    "rib_slope": 4.0,
    "ilium_flare": 3.0,
    "scapula_turn": 4.0,
    "shoulder_drop": 4.0,
    "second_curve": 1.2,
    "bowlegs": 1.2,
}
# Mean and SD; angles in degrees. Those of limbs are drawn for each side.
POSTURE = {
    "lean": (0.0, 0.8),
    "head_tilt": (0.0, 2.5),
    "head_nod": (0.0, 1.0),
}
LIMB_POSTURE = {
    "arm": (9.5, 0.9),
    "elbow": (-5.0, 1.4),
    "wrist": (0.0, 3.0),
    "pronation": (0.2, 0.12),
    "finger_spread": (5.0, 1.5),
    "hip": (2.0, 0.7),
    "knee": (0.0, 1.0),
    "foot": (12.0, 5.0),
}
IMPLANT_SHARES = {
    "left_hip": 0.008,
    "right_hip": 0.008,
    "left_knee": 0.008,
    "right_knee": 0.008,
    "spine": 0.004,
}


def draw_anatomy(traits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what of the body the traits leave open.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        The DXA traits of `traits.tsv`, and `bmi` (kg/m2).
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, ...)
        The traits, lengths in mm, with `density` (1 at the mean bone density), the factors and
        shifts above, and the places of gas in the bowel.
    """
    n = len(traits)
    own = traits.reset_index(drop=True)
    lengths = ["shoulder_width", "pelvis_width", "trunk_length", "arm_length", "leg_length"]
    anatomy = own[[*lengths, "femoral_neck_angle", "spine_curvature", "bmi"]].astype(float)
    anatomy[lengths] *= 10.0
    anatomy["density"] = own["bone_density"] / 1.15
    for name, sd in FACTORS.items():
        anatomy[name] = 1 + sd * _normal(n, rng)
    for name, sd in SHIFTS.items():
        anatomy[name] = sd * _normal(n, rng)
    for blob in range(4):
        anatomy[f"gas_{blob}_x"] = rng.uniform(-90, 90, n)
        anatomy[f"gas_{blob}_y"] = rng.uniform(-260, -60, n)
        anatomy[f"gas_{blob}_size"] = rng.uniform(8, 22, n)
    return anatomy


def draw_posture(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw how the trunk leans and the limbs lie: what no homography of the whole can undo.

    Parameters
    ----------
    n : int
        How many people.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, ...)
        Angles in degrees, those of limbs for `right_` and `left_`; abduction is positive.
    """
    posture = {}
    for name, (mean, sd) in POSTURE.items():
        posture[name] = mean + sd * _normal(n, rng)
    for name, (mean, sd) in LIMB_POSTURE.items():
        # Both sides of a person have half of the variance in common.
        common = _normal(n, rng)
        for side in ("right", "left"):
            own = (common + _normal(n, rng)) / np.sqrt(2)
            posture[f"{side}_{name}"] = mean + sd * own
    return pd.DataFrame(posture)


def draw_implants(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw who has metal in the body: the name of an implant for each of n people, or empty."""
    return rng.choice(
        ["", *IMPLANT_SHARES],
        size=n,
        p=[1 - sum(IMPLANT_SHARES.values()), *IMPLANT_SHARES.values()],
    )


def _normal(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(n).clip(-FARTHEST_SDS, FARTHEST_SDS)
