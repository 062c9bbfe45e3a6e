"""Long-axis cardiac MRI: rows, columns, and the frames of one heart beat as channels."""

from regreveal.tensormap import StandardizeEach, TensorMap


def _cine(name: str, shape: tuple[int, int, int], description: str) -> TensorMap:
    return TensorMap(
        name=f"cardiac.{name}",
        path=f"cardiac/{name}",
        shape=shape,
        units="intensity",
        modality="cardiac",
        description=description,
        normalize=StandardizeEach(),
    )


lax_4ch = _cine("lax_4ch", (96, 96, 50), "Four-chamber cine, 50 frames from the R peak on.")
lax_4ch_small = _cine(
    "lax_4ch_small",
    (48, 48, 16),
    "Four-chamber cine at half the resolution, 16 frames from the R peak on.",
)
