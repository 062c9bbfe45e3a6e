"""Long-axis cardiac MRI: rows, columns, and the frames of one heart beat as channels."""

from regreveal.tensormap import StandardizeEach, TensorMap

lax_4ch = TensorMap(
    name="cardiac.lax_4ch",
    path="cardiac/lax_4ch",
    shape=(96, 96, 50),
    units="intensity",
    modality="cardiac",
    description="Four-chamber cine, 50 frames from the R peak on.",
    normalize=StandardizeEach(),
)

lax_4ch_small = TensorMap(
    name="cardiac.lax_4ch_small",
    path="cardiac/lax_4ch_small",
    shape=(48, 48, 16),
    units="intensity",
    modality="cardiac",
    description="Four-chamber cine at half the resolution, 16 frames from the R peak on.",
    normalize=StandardizeEach(),
)
