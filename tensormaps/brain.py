"""T1-weighted brain MRI: axes left to right, back to front, bottom to top (RAS+)."""

from regreveal.tensormap import StandardizeEach, TensorMap


def _volume(name: str, shape: tuple[int, int, int], description: str) -> TensorMap:
    return TensorMap(
        name=f"brain.{name}",
        path=f"brain/{name}",
        shape=shape,
        units="intensity",
        modality="brain",
        description=description,
        normalize=StandardizeEach(),
        spatial_dimensions=3,
    )


t1_native = _volume("t1_native", (216, 256, 216), "T1 as scanned, 1 mm: head where it lay.")
t1_mni = _volume("t1_mni", (182, 218, 182), "T1 in the space of the MNI152 template, 1 mm.")
t1_native_6mm = _volume("t1_native_6mm", (36, 42, 36), "T1 as scanned, 6 mm: head where it lay.")
t1_mni_6mm = _volume("t1_mni_6mm", (30, 36, 30), "T1 in the space of the MNI152 template, 6 mm.")
