from pathlib import Path

from regreveal.experiment.analysis_settings import Settings
from regreveal.experiment.settings import Experiment

PAGE = (Path(__file__).parents[2] / "docs" / "experiment.md").read_text()


def _below(table):
    """Every table of an experiment file: those that `Settings` is the base of, and theirs."""
    return [each for made in table.__subclasses__() for each in (made, *_below(made))]


def test_every_key_of_an_experiment_file_is_explained():
    tables = _below(Settings)
    assert Experiment in tables
    assert len(tables) > 10
    for table in tables:
        for key in table.model_fields:
            assert f"`{key}`" in PAGE or f"[{key}" in PAGE or f".{key}]" in PAGE, key
