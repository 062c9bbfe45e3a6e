"""The Python that pages show: every name is there, and what takes no training runs."""

import importlib
import re

import numpy as np
import pytest

from regreveal.store.tensors import TensorStore
from tests.docs.commands import PAGES, ROOT
from tests.registration.planar_phantoms import body

NAMED = re.compile(r"`(regreveal(?:\.\w+)+)")
IMPORTED = re.compile(r"^ *from (regreveal[\w.]*) import ([\w, ]+)", re.MULTILINE)
# Indented code that begins with an import, up to the first line that is not indented.
SNIPPET = re.compile(r"^(    (?:from|import) regreveal.*\n(?:    .+\n|\n(?=    ))*)", re.MULTILINE)


def names_in(text: str) -> set[str]:
    named = set(NAMED.findall(text))
    for module, names in IMPORTED.findall(text):
        named |= {f"{module}.{name.strip()}" for name in names.split(",")}
    return named


def is_there(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return bool(module) and hasattr(importlib.import_module(module), attribute)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_of_python_that_a_page_has_is_there(page):
    missing = [name for name in sorted(names_in(page.read_text())) if not is_there(name)]
    assert not missing


def test_a_name_that_is_not_there_is_found():
    text = (
        "`regreveal.store.tensors.TensorStore(f)`, `regreveal.nothing`\nfrom regreveal import no\n"
    )
    assert [name for name in sorted(names_in(text)) if not is_there(name)] == [
        "regreveal.no",
        "regreveal.nothing",
    ]


def run_snippet(page: str, **given) -> dict:
    """Run the code of a page on what its text says that it is given; return all its names."""
    (code,) = SNIPPET.findall((ROOT / "docs" / page).read_text())
    names = dict(given)
    exec(re.sub("^    ", "", code, flags=re.MULTILINE), names)
    return names


def test_a_model_is_loaded_and_embeds_as_its_page_says(tmp_path):
    import regreveal.models

    folder = regreveal.models.load("zoo:ecg_median")
    shape = folder.tensor_map.shape
    store = TensorStore(tmp_path)
    ids, beats = ["a", "b"], np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    store.write(folder.tensor_map.path, beats, ids, units=folder.tensor_map.units)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regreveal.models, "load", lambda name: folder)
        names = run_snippet("models.md", store=store, sample_ids=ids)
    assert len(names["latents"]) == len(names["drawn"]) == 2


def test_labels_are_carried_along_as_the_page_says():
    rng = np.random.default_rng(0)
    pictures, labels = zip(*(body((116, 44), rng, 0.3) for _ in range(3)), strict=True)
    images = np.stack(pictures)[..., None]
    given = {"exemplar": images[0], "images": images, "labels": np.stack(labels)}
    names = run_snippet("registration.md", **given)
    assert names["registered"].qc["ok"].all()
    assert names["labels"].shape == (3, 116, 44)


def test_a_direction_is_walked_as_its_page_says():
    rng = np.random.default_rng(0)
    latents, dosages = rng.normal(size=(50, 3)), rng.binomial(2, 0.3, 50)
    given = {"latents": latents, "dosages": dosages, "covariates": rng.normal(size=(50, 1))}
    assert run_snippet("directions.md", **given)["latents_along"].shape == (3, 3)
