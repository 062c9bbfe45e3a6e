"""Registration: bringing every sample of a modality into one frame of reference.

Each method is a module of its own that builds on `base`, imported when its class is asked for.
"""

from importlib import import_module

MODULES = {
    "Affine": "affine",
    "DeepCycle": "deepcycle",
    "DropFuse": "dropfuse",
    "Homography": "homography",
    "QRSAlignment": "qrs",
    "Registered": "base",
    "Registration": "base",
    "VoxelMorph": "voxelmorph",
}

__all__ = [
    "Affine",
    "DeepCycle",
    "DropFuse",
    "Homography",
    "QRSAlignment",
    "Registered",
    "Registration",
    "VoxelMorph",
]


def __getattr__(name):
    if name in MODULES:
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
