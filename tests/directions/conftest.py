"""People whose tensors are linear in their latents, and the model that knows how."""

import linear_toy
import pytest


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    return linear_toy.make_toy(tmp_path_factory.mktemp("toy"))
