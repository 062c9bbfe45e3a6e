from pathlib import Path

from regreveal.experiment import settings

PAGE = (Path(__file__).parents[2] / "docs" / "experiment.md").read_text()


def test_every_key_of_an_experiment_file_is_explained():
    tables = [t for t in vars(settings).values() if isinstance(t, type)]
    tables = [t for t in tables if issubclass(t, settings.Settings) and t is not settings.Settings]
    assert len(tables) > 10
    for table in tables:
        for key in table.model_fields:
            assert f"`{key}`" in PAGE or f"[{key}" in PAGE or f".{key}]" in PAGE, key
