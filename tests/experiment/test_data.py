import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.experiment.data import DataPaths, prepare_data
from regreveal.experiment.data_settings import Data
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


def test_a_stage_depends_on_genotypes_of_any_format_and_on_what_is_read_with_them(tmp_path):
    for name in ("a.bed", "a.bim", "a.fam", "b.pgen", "b.pvar.zst", "b.psam", "c.vcf.gz", "b.bim"):
        (tmp_path / name).write_text("")
    beside = {"a.bed": ["a.bim", "a.fam"], "b.pgen": ["b.pvar.zst", "b.psam"], "c.vcf.gz": []}
    for name, others in beside.items():
        files = DataPaths(tmp_path, genotypes=tmp_path / name).files("genotypes", "cohort")
        assert {path.name for path in files.values()} == {name, *others}
    several = DataPaths(tmp_path, genotypes=[tmp_path / "a.bed", tmp_path / "c.vcf.gz"])
    assert len(several.files("genotypes")) == 4


def test_genotypes_may_be_a_file_a_chromosome_and_one_that_is_not_there_is_named(tmp_path):
    (tmp_path / "tensors").mkdir()
    (tmp_path / "chr1.bed").write_text("")
    data = Data(folder=tmp_path, genotypes=[tmp_path / "chr1.bed"])
    assert DataPaths.of_settings(data).genotypes == [tmp_path / "chr1.bed"]
    data = Data(folder=tmp_path, genotypes=[tmp_path / "chr1.bed", tmp_path / "chr2.bed"])
    with pytest.raises(InputError, match=r"data\.genotypes: .*chr2\.bed does not exist"):
        DataPaths.of_settings(data)
