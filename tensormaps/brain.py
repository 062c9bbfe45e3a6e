"""T1-weighted brain MRI: axes left to right, back to front, bottom to top (RAS+)."""

from regreveal.brain_atlas import Region
from regreveal.tensormap import StandardizeEach, TensorMap


def _volume(
    name: str,
    shape: tuple[int, int, int],
    description: str,
    stored_as: str | None = None,
    region: Region | None = None,
) -> TensorMap:
    return TensorMap(
        name=f"brain.{name}",
        path=f"brain/{stored_as or name}",
        shape=shape,
        units="intensity",
        modality="brain",
        description=description,
        normalize=StandardizeEach(),
        spatial_dimensions=3,
        region=region,
    )


def _region(
    name: str,
    labels: tuple[str, ...],
    corner: tuple[int, int, int],
    shape: tuple[int, int, int],
    description: str,
) -> TensorMap:
    """Declare a view of a stored brain in MNI space: the box of a region, 0 outside the region."""
    millimetres, stored_as = (6, "t1_mni_6mm") if name.endswith("_6mm") else (1, "t1_mni")
    return _volume(name, shape, description, stored_as, Region(labels, corner, millimetres))


t1_native = _volume("t1_native", (216, 256, 216), "T1 as scanned, 1 mm: head where it lay.")
t1_mni = _volume("t1_mni", (182, 218, 182), "T1 in the space of the MNI152 template, 1 mm.")
t1_native_6mm = _volume("t1_native_6mm", (36, 42, 36), "T1 as scanned, 6 mm: head where it lay.")
t1_mni_6mm = _volume("t1_mni_6mm", (30, 36, 30), "T1 in the space of the MNI152 template, 6 mm.")

# What registration to a template of the brain alone allows: scalp, skull and neck taken away.
t1_brain = _region(
    "t1_brain", ("brain",), (19, 19, 0), (145, 181, 155), "Brain alone in the template's space."
)
t1_brain_6mm = _region(
    "t1_brain_6mm",
    ("brain",),
    (3, 3, 0),
    (24, 30, 26),
    "Brain alone in the template's space, 6 mm.",
)

_GREY, _WHITE = ("cerebellar_grey",), ("cerebellar_white",)
cerebellum = _region(
    "cerebellum", _GREY + _WHITE, (36, 34, 4), (111, 70, 70), "Cerebellum of t1_mni, 1 mm."
)
cerebellum_grey = _region(
    "cerebellum_grey", _GREY, (36, 34, 4), (111, 70, 70), "Grey matter of the cerebellum, 1 mm."
)
cerebellum_white = _region(
    "cerebellum_white", _WHITE, (41, 38, 8), (101, 64, 57), "White matter of the cerebellum, 1 mm."
)
cerebellum_6mm = _region(
    "cerebellum_6mm", _GREY + _WHITE, (6, 6, 1), (18, 10, 11), "Cerebellum of t1_mni_6mm."
)
cerebellum_grey_6mm = _region(
    "cerebellum_grey_6mm", _GREY, (6, 6, 1), (18, 10, 11), "Grey matter of the cerebellum, 6 mm."
)
cerebellum_white_6mm = _region(
    "cerebellum_white_6mm", _WHITE, (7, 7, 3), (16, 9, 5), "White matter of the cerebellum, 6 mm."
)
