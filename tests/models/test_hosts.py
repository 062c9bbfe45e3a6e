import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.models import hosts
from regreveal.models.hosts import ADDRESS, COUNT, PLACE, join_hosts, own_part
from regreveal.models.loop import run_epochs
from regreveal.models.state import TrainingState


@pytest.fixture
def place(monkeypatch):
    """Make this process one of several."""

    def be(number, count=2):
        monkeypatch.setenv(ADDRESS, "head:12345")
        monkeypatch.setenv(COUNT, str(count))
        monkeypatch.setenv(PLACE, str(number))

    return be


def test_hosts_share_every_part_of_a_batch(place):
    batch = np.arange(24).reshape(12, 2)
    shares = []
    for number in (0, 1, 2):
        place(number, 3)
        shares.append(own_part(batch, parts=2))
    assert [share[:, 0].tolist() for share in shares] == [
        [0, 2, 12, 14],
        [4, 6, 16, 18],
        [8, 10, 20, 22],
    ]


def test_one_host_has_all_of_a_batch():
    batch = np.arange(24).reshape(12, 2)
    np.testing.assert_array_equal(own_part(batch, parts=3), batch)
    join_hosts(1)


@pytest.mark.parametrize(
    ("changes", "backend", "devices", "told"),
    [
        ({}, "tensorflow", "all", "several hosts need KERAS_BACKEND=jax"),
        ({}, "jax", 1, "devices is 1; several hosts"),
        ({PLACE: "2"}, "jax", "all", "expected 0 to 1, and host:port of 0"),
        ({ADDRESS: ""}, "jax", "all", "expected 0 to 1, and host:port of 0"),
        ({COUNT: "1"}, "jax", "all", f"{COUNT} is 1, {PLACE} 1 .* expected 0 to 0"),
        ({COUNT: "two"}, "jax", "all", f"{COUNT} is 'two'; expected a whole number"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    place, monkeypatch, changes, backend, devices, told
):
    place(1)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(hosts.keras.backend, "backend", lambda: backend)
    with pytest.raises(InputError, match=told) as error:
        join_hosts(devices)
    assert "\n" not in str(error.value)


class Model:
    def get_weights(self):
        return [np.zeros(3)]


def test_only_the_first_host_writes_and_tells(place, tmp_path, capsys):
    place(1)
    numbers = {"steps": 6, "steps_per_epoch": 3, "batch_size": 4, "learning_rate": 0.1}
    state = TrainingState(numbers, 1.0, 1.0)
    logged = []
    run_epochs(
        Model(), state, lambda steps: (1 / steps.stop, 1.0, 0.1), tmp_path / "state", "Training",
        log=logged.append,
    )  # fmt: skip
    assert [row["loss"] for row in state.history] == [1 / 3, 1 / 6]
    assert len(state.best_weights) == 1
    assert not list(tmp_path.iterdir())
    assert not logged
    assert capsys.readouterr().err == ""
