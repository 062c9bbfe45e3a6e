import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from regreveal.errors import InputError
from regreveal.phenome.hospital_records import read_diagnoses
from regreveal.phenome.phecode_map import read_phecode_map
from regreveal.phenome.phecodes import phecode_records, phecode_status
from regreveal.phenome.phewas import phewas
from regreveal.phenome.phewas_run import run_phewas
from regreveal.store.cohort import design_matrix
from regreveal.store.embedding import Embedding


@pytest.fixture
def files(tmp_path):
    """What `run_phewas` takes: 300 people, of whom 290 are asked for and 7 lack a value."""
    generator = np.random.default_rng(27)
    latents = generator.normal(size=(300, 4)).astype(np.float32)
    ids = [f"person-{row}" for row in range(300)]
    cohort = pd.DataFrame(
        {
            "age": generator.normal(60, 8, 300),
            "sex": generator.choice(["female", "male"], 300),
            "ancestry": generator.choice(["African", "European"], 300),
        },
        index=pd.Index(ids, name="sample_id"),
    )
    cohort.iloc[:4, 0] = np.nan
    cohort.iloc[4:6, 1] = None
    cohort = cohort.drop("person-6")
    ill = np.flatnonzero(generator.random(300) < expit(-1 + 2 * latents[:, 0]))
    events = [f"{ids[row]}\tI48.0" for row in ill] + ["person-9\tZ00", "person-9\tZ00"]
    (tmp_path / "diagnoses.tsv").write_text("\n".join(["sample_id\ticd10", *events]) + "\n")
    (tmp_path / "phecodes.tsv").write_text("icd10\tphecode\nI48\t427.2\nC61\t185\n")
    (tmp_path / "phecode_info.tsv").write_text(
        "phecode\tname\tcategory\texclude_from\texclude_to\tsex\n"
        "427.2\tAtrial fibrillation\tcirculatory\t\t\tboth\n"
        "185\tProstate cancer\tneoplasms\t\t\tmale\n"
    )
    return {
        "embedding": Embedding(ids, latents, {}),
        "participants": ids[:290],
        "cohort": cohort,
        "covariate_columns": ["age", "sex", "ancestry"],
        "diagnoses": tmp_path / "diagnoses.tsv",
        "phecodes": tmp_path / "phecodes.tsv",
        "phecode_info": tmp_path / "phecode_info.tsv",
        "folder": tmp_path / "results",
    }


def test_a_run_tests_those_with_all_covariates_and_counts_the_others(files):
    table = run_phewas(**files, seed=3, left_out={"seen by the model": 12})
    chosen = files["participants"][7:]
    phecode_map = read_phecode_map(files["phecodes"], files["phecode_info"])
    records = phecode_records(read_diagnoses(files["diagnoses"]), phecode_map)
    expected = phewas(
        files["embedding"].latents[7:290],
        phecode_status(records, files["cohort"].loc[chosen, "sex"]).status,
        design_matrix(files["cohort"], files["covariate_columns"], chosen)[0],
        phecode_map.info,
        seed=3,
    )
    pd.testing.assert_frame_equal(table, expected)
    assert table.set_index("phecode").loc["427.2", "neg_log10_p"] > 5
    assert json.loads((files["folder"] / "phewas.json").read_text()) == {
        "participants": 283,
        "left_out": {"seen by the model": 12},
        "missing_covariate_values": 7,
        "events": records.counts["diagnoses"],
        "events_unmapped": 2,
        "phecodes": 2,
        "phecodes_tested": 1,
        "seed": 3,
        "minimum_cases": 20,
    }


def test_a_run_writes_its_tables(files):
    table = run_phewas(**files, minimum_cases=10)
    assert sorted(path.name for path in files["folder"].iterdir()) == [
        "phewas.json",
        "phewas.tsv",
        "unmapped_icd.tsv",
    ]
    written = pd.read_csv(
        files["folder"] / "phewas.tsv", sep="\t", dtype={"phecode": str}, keep_default_na=False
    )
    assert written["phecode"].tolist() == table["phecode"].tolist()
    assert written.columns.tolist() == table.columns.tolist()
    assert set(written["reason"]) == {"", "fewer than 10 cases"}
    unmapped = pd.read_csv(files["folder"] / "unmapped_icd.tsv", sep="\t")
    assert unmapped.to_numpy().tolist() == [["icd10", "Z00", 2]]


def test_a_run_of_nobody_or_of_an_unknown_column_ends_in_one_clear_line(files):
    with pytest.raises(InputError, match="no column 'bmi' .there are: age, sex, ancestry."):
        run_phewas(**files | {"covariate_columns": ["bmi"]})
    with pytest.raises(InputError, match="no column 'sex'"):
        run_phewas(**files | {"cohort": files["cohort"].drop(columns="sex")})
    with pytest.raises(InputError, match="none of 7 participants has sex and all covariates"):
        run_phewas(**files | {"participants": files["participants"][:7]})
    assert not files["folder"].exists()
