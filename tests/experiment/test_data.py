import numpy as np
import pytest

from regreveal.experiment.data import prepare_data
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.experiment.manifest import Manifest
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

ECG, BODY = "ecg.median", "dxa.body"


@pytest.fixture
def store(tmp_path) -> TensorStore:
    """Some people have an ECG, others an image of the body, some both."""
    store = TensorStore(tmp_path / "tensors")
    for name, people in ((ECG, range(12)), (BODY, range(8, 20))):
        tensor_map = find_tensor_map(name)
        tensors = np.ones((len(people), *tensor_map.stored_shape), np.float32)
        ids = [f"p{number:02d}" for number in people]
        store.write(tensor_map.path, tensors, ids, units=tensor_map.units)
    return store


def participants(store: TensorStore, *names: str) -> list[str]:
    arms = "".join(f"[arms.a{n}]\ntensor_map = '{name}'\n" for n, name in enumerate(names))
    experiment = parse_experiment(f"title = 'x'\n[data]\ntensors = '{store.path}'\n{arms}", "x")
    folder = store.path.parent / "run"
    with Manifest(folder, experiment.seed) as manifest:
        data, _ = prepare_data(experiment, folder, manifest)
        return sorted(data.splits.index)


def test_without_a_cohort_everyone_with_a_tensor_takes_part_also_after_an_arm_is_added(store):
    assert participants(store, ECG) == [f"p{number:02d}" for number in range(12)]
    assert participants(store, ECG, BODY) == [f"p{number:02d}" for number in range(20)]
