"""The comparison with plink2, on every hundredth variant."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/genetics/plink2.py"

# Ties aside, equal printed digits are at most half a unit of the last one apart.
EQUAL = 0.5 + 1e-5

# plink2's own p-values are off by up to 1e-7, relative, before it prints them.
EQUAL_BUT_FOR_PLINK2 = 0.55


@pytest.fixture(scope="module")
def comparison():
    spec = importlib.util.spec_from_file_location("gwas_plink2", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(comparison, shared_data, tmp_path_factory):
    if shutil.which("plink2") is None:
        pytest.skip("plink2 is not installed (Debian: apt-get install plink2)")
    folder = tmp_path_factory.mktemp("plink2")
    rows = np.arange(0, 54_051, 100)
    study = comparison.make_study(shared_data / "genetics/eur_1000g", folder, rows)
    return comparison.compare(study, folder)


@pytest.mark.parametrize("genotypes", ["complete", "missing, left out"])
def test_effects_errors_and_p_equal_plink2_to_its_printed_digits(comparison, results, genotypes):
    pairs = results[genotypes].dropna(subset=["beta_plink2"])
    assert len(pairs) > 50 * comparison.DIMENSIONS
    assert pairs["beta"].notna().all()
    assert comparison.units_apart(pairs, "beta").max() <= EQUAL
    assert comparison.units_apart(pairs, "standard_error").max() <= EQUAL
    assert comparison.units_apart(pairs, "p").max() <= EQUAL_BUT_FOR_PLINK2


def test_every_variant_is_compared(comparison, results):
    assert len(results["complete"]) + len(results["missing, left out"]) == 541 * 8
    assert len(results["missing, left out"]) == len(results["missing, mean in their place"])


def test_the_study_holds_effects_worth_comparing(results):
    assert results["complete"]["p_plink2"].min() < 1e-6


def test_the_mean_in_place_of_a_few_missing_genotypes_moves_little(results):
    pairs = results["missing, mean in their place"].dropna(subset=["beta_plink2"])
    moved = (pairs["beta"] - pairs["beta_plink2"]).abs() / pairs["standard_error_plink2"]
    assert 0 < moved.median() < 0.05
    assert moved.max() < 0.5


def test_without_plink2_the_script_says_so(comparison, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["gwas_plink2.py", "--data", str(tmp_path)])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="plink2 is not installed") as stopped:
        comparison.main()
    assert stopped.value.code != 0
