"""Dual-energy X-ray absorptiometry: hips, spine and whole body, head up, in grey values.

The number in a name is that of the view as UK Biobank delivers it (field 20158). What each number
shows is not in its documentation; the descriptions follow public code that reads these files.
"""

from regreveal.tensormap import StandardizeEach, TensorMap


def _image(name: str, shape: tuple[int, int], description: str) -> TensorMap:
    return TensorMap(
        name=f"dxa.{name}",
        path=f"dxa/{name}",
        shape=shape,
        units="grey value",
        modality="dxa",
        description=description,
        normalize=StandardizeEach(),
        spatial_dimensions=2,
    )


def _series(number: int, shape: tuple[int, int], shows: str) -> TensorMap:
    description = f"DXA image of series {number}: by public code, {shows}."
    return _image(f"dxa_{number}", shape, description)


def _simulated(view: str, shape: tuple[int, int], millimetres: float, shows: str) -> TensorMap:
    description = f"Simulated DXA image of {shows}, pixels of {millimetres:g} mm."
    return _image(view, shape, description)


dxa_2 = _series(2, (768, 768), "the lumbar spine")
dxa_5 = _series(5, (768, 768), "a hip")
dxa_8 = _series(8, (640, 768), "the other hip")
dxa_11 = _series(11, (928, 352), "the whole body")
dxa_12 = _series(12, (928, 352), "the skeleton of the whole body")

body = _simulated("body", (232, 88), 9, "the body")
skeleton = _simulated("skeleton", (232, 88), 9, "the skeleton of the body")
hip = _simulated("hip", (96, 96), 2, "the hip")
spine = _simulated("spine", (96, 96), 2.4, "the spine")
