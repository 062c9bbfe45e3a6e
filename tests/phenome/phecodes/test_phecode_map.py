import gzip

import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.phenome.phecodes.phecode_map import read_phecode_map

# A few rows of each published table, written as they are.
ICD10_BETA = """ICD10,PHECODE,Exl. Phecodes,Excl. Phenotypes
E11,250.2,249-250.99,DIABETES
E11.9,250.2,249-250.99,DIABETES
A04.7,8.52,001-009.99,intestinal infection
Z99.9,,,
"""
ICD10CM_BETA = (
    '"icd10cm","icd10cm_str","phecode","phecode_str","exclude_range","exclude_name","leaf",'
    '"rollup"\n'
    '"E11.9","Type 2 diabetes mellitus without complications","250.2","Type 2 diabetes",'
    '"249-250.99","DIABETES","0","1"\n'
    '"H81.01","M\u00e9ni\u00e8re\u2019s disease, right ear","386.1","Meniere\u2019s disease",'
    '"386-386.99","","1","1"\n'
)
ICD9_UNROLLED = """"icd9","phecode"
"250.00","250.2"
"250.00","250"
"008.45","008.52"
"790.22","250.41"
"""
DEFINITIONS = """"phecode","phenotype","phecode_exclude_range","sex","rollup","leaf",\
"category_number","category"
"008","Intestinal infection","001-009.99","",1,0,1,"infectious diseases"
"008.5","Bacterial enteritis","001-009.99","Both",1,0,1,"infectious diseases"
"008.52","Intestinal infection due to C. difficile","001-009.99","Both",1,1,1,"infectious diseases"
"1010","Other tests","","Both",1,0,0,NULL
"185","Cancer of prostate","185-187.99, 796-796.99, 600-602.99","Male",1,1,2,"neoplasms"
"250","Diabetes mellitus","249-250.99","Both",1,0,3,"endocrine/metabolic"
"250.2","Type 2 diabetes","249-250.99","Both",1,0,3,"endocrine/metabolic"
"250.4","Abnormal glucose","249-250.99","Both",0,0,3,"endocrine/metabolic"
"250.41","Impaired fasting glucose","249-250.99","Both",1,1,3,"endocrine/metabolic"
"386.1","Meniere's disease","386-386.99","Both",1,1,7,"sense organs"
"600","Hyperplasia of prostate","185-187.99, 796-796.99, 600-602.99","Male",1,1,11,"genitourinary"
"796","Elevated prostate specific antigen [PSA]","","Male",1,1,11,"genitourinary"
"""
X_UNROLLED = """phecode,ICD,vocabulary_id
CV_416,I48.0,ICD10CM
CV_416.2,I48.0,ICD10CM
CV_416.21,I48.0,ICD10CM
CV_416.21,427.31,ICD9CM
CA_107.2,C61,ICD10CM
CA_130,C61,ICD10CM
"""
X_INFO = """"phecode","phecode_string","category_num","category","sex","icd10_only","code_val"
"CV_416.21","Atrial fibrillation","08","Cardiovascular","Both",0,416.21
"CV_416.2","Atrial fibrillation and flutter","08","Cardiovascular","Both",0,416.2
"CV_416","Cardiac arrhythmia and conduction disorders","08","Cardiovascular","Both",0,416
"CA_107.2","Malignant neoplasm of the prostate","02","Neoplasms","Male",0,107.2
"CA_130","Cancer (solid tumor, excluding BCC)","02","Neoplasms","Both",0,130
"""
X_SEX = """phecode,male_only,female_only
CV_416.21,FALSE,FALSE
CA_107.2,TRUE,FALSE
"""
PHETK = """phecode,ICD,flag,phecode_string,phecode_category,exclude_range,sex,phecode_unrolled
250.41,790.22,9,Impaired fasting glucose,endocrine/metabolic,"250,250.2",Both,250.41
250.41,790.22,9,Impaired fasting glucose,endocrine/metabolic,"250,250.2",Both,250.4
250.4,R73.09,10,Abnormal glucose,endocrine/metabolic,"250,250.2",Both,250.4
250.2,E11.9,10,Type 2 diabetes,endocrine/metabolic,"250.4,250.41,250",Both,250.2
250.2,E11.9,10,Type 2 diabetes,endocrine/metabolic,"250.4,250.41,250",Both,250
250,E14,10,Diabetes mellitus,endocrine/metabolic,"250.4,250.41,250.2",Both,250
"""


@pytest.fixture
def files(tmp_path):
    """Return a function that writes tables and gives their paths."""

    def written(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.csv").write_bytes(text.encode("utf-8"))
        return [tmp_path / f"{name}.csv" for name in texts]

    return written


def _phecodes(phecode_map, vocabulary, code):
    codes = phecode_map.codes
    chosen = codes[(codes["vocabulary"] == vocabulary) & (codes["code"] == code)]
    return sorted(chosen["phecode"])


def _pairs(table):
    return set(table.itertuples(index=False, name=None))


def test_tables_of_version_12_are_read_together(files):
    paths = files(icd10=ICD10_BETA, icd9=ICD9_UNROLLED, definitions=DEFINITIONS)
    read = read_phecode_map(*paths)
    assert read.edition == "WHO"
    assert _phecodes(read, "icd10", "E119") == ["250.2"]
    assert _phecodes(read, "icd9", "25000") == ["250", "250.2"]
    # The published ICD-10 map has lost the zeros that the definitions have.
    assert _phecodes(read, "icd10", "A047") == _phecodes(read, "icd9", "00845") == ["008.52"]
    assert _phecodes(read, "icd10", "Z999") == [""]
    assert read.info.loc["250.2"].tolist() == ["Type 2 diabetes", "endocrine/metabolic", "both"]
    assert read.info.loc["1010", "category"] == "other"
    assert read.info.loc["008", "sex"] == "both"
    assert read.info.loc["185", "sex"] == "male"
    in_order = ["1010", "008", "008.5", "008.52", "185", "250", "250.2", "250.4", "250.41"]
    assert read.info.index[:9].tolist() == in_order


def test_the_order_of_the_tables_does_not_matter(files):
    paths = files(icd10=ICD10_BETA, icd9=ICD9_UNROLLED, definitions=DEFINITIONS)
    forward, backward = read_phecode_map(*paths), read_phecode_map(*paths[::-1])
    pd.testing.assert_frame_equal(forward.info, backward.info)
    assert _pairs(forward.related) == _pairs(backward.related)
    assert _pairs(forward.codes) == _pairs(backward.codes)


def test_phecodes_roll_up_but_for_those_marked(files):
    read = read_phecode_map(*files(icd9=ICD9_UNROLLED, definitions=DEFINITIONS))
    assert _pairs(read.above) == {
        ("008.5", "008"),
        ("008.52", "008.5"),
        ("008.52", "008"),
        ("250.2", "250"),
        ("250.41", "250.4"),
    }


def test_exclusion_ranges_hold_those_described(files):
    read = read_phecode_map(*files(icd10=ICD10_BETA, definitions=DEFINITIONS))
    related = read.related.groupby("phecode")["related"].apply(set)
    assert related["250.2"] == {"250", "250.4", "250.41"}
    assert related["185"] == {"600", "796"}
    assert related["008"] == {"008.5", "008.52"}
    assert "1010" not in related


def test_the_map_of_the_clinical_modification_is_read_in_the_encoding_it_has(files, tmp_path):
    path, definitions = tmp_path / "cm.csv", files(definitions=DEFINITIONS)[0]
    path.write_bytes(ICD10CM_BETA.encode("cp1252"))
    read = read_phecode_map(path, definitions)
    assert read.edition == "CM"
    assert _phecodes(read, "icd10", "H8101") == ["386.1"]
    assert read.info.loc["386.1", "name"] == "Meniere's disease"


def test_phecodex_is_read_with_its_categories_and_sexes(files):
    read = read_phecode_map(*files(map=X_UNROLLED, info=X_INFO))
    assert _phecodes(read, "icd10", "I480") == ["CV_416", "CV_416.2", "CV_416.21"]
    assert _phecodes(read, "icd9", "42731") == ["CV_416.21"]
    assert read.info["sex"].to_dict()["CA_107.2"] == "male"
    in_order = ["CA_107.2", "CA_130", "CV_416", "CV_416.2", "CV_416.21"]
    assert read.info.index.tolist() == in_order
    # Where a code lists its most specific phecode only, decimals tell the others.
    assert ("CV_416.21", "CV_416.2") in _pairs(read.above)
    assert len(read.related) == 0


def test_where_both_editions_of_icd10_are_given_one_is_chosen(files):
    who = "phecode,ICD,vocabulary_id\nCV_416.2,I48.0,ICD10\n"
    paths = files(map=X_UNROLLED, info=X_INFO, who=who)
    with pytest.raises(InputError, match="say which edition"):
        read_phecode_map(*paths)
    read = read_phecode_map(*paths, edition="WHO")
    assert _phecodes(read, "icd10", "I480") == ["CV_416.2"]
    assert _phecodes(read, "icd9", "42731") == ["CV_416.21"]
    with pytest.raises(InputError, match="of edition CM only, not of WHO"):
        read_phecode_map(*paths[:2], edition="WHO")
    read = read_phecode_map(*paths, edition="CM")
    assert _phecodes(read, "icd10", "I480") == ["CV_416", "CV_416.2", "CV_416.21"]


def test_sexes_may_stand_in_a_table_of_their_own(files):
    paths = files(map=X_UNROLLED, info=X_INFO.replace('"sex"', '"unused"'), sex=X_SEX)
    read = read_phecode_map(*paths)
    assert read.info["sex"].to_dict()["CA_107.2"] == "male"
    with pytest.raises(InputError, match="no table says which phecodes are of one sex"):
        read_phecode_map(*paths[:2])


def test_the_table_of_phetk_is_all_in_one(files):
    read = read_phecode_map(*files(phetk=PHETK))
    assert _phecodes(read, "icd9", "79022") == ["250.41"]
    assert _pairs(read.above) == {("250.41", "250.4"), ("250.2", "250")}
    related = read.related.groupby("phecode")["related"].apply(set)
    assert related["250.2"] == {"250", "250.4", "250.41"}
    assert related["250.41"] == {"250", "250.2"}


def test_a_compressed_table_is_read(files, tmp_path):
    plain = files(phetk=PHETK)[0]
    packed = tmp_path / "phetk.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    pd.testing.assert_frame_equal(read_phecode_map(packed).info, read_phecode_map(plain).info)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": "icd10,meaning\nI10,401\n"}, "no column 'phecode'"),
        ({"a": ""}, "cannot be read"),
        ({"a": DEFINITIONS}, "no table has ICD codes"),
        ({"a": "icd,phecode\nI10,401\n"}, "nothing says whether of ICD-9 or ICD-10"),
        ({"a": "icd,flag,phecode\nI10,11,401\n"}, "vocabulary '11'"),
        ({"a": ICD10_BETA}, "phecode '250.2' .2 in all. is not described; add a table"),
        ({"a": "icd10,icd9,phecode\nI10,401.9,401\n"}, "in columns icd10 and icd9"),
        ({"a": ICD10_BETA + "I10,999,,\n", "b": DEFINITIONS}, "phecode '999' .1 in all. is not"),
        ({"a": ICD10_BETA, "b": ICD10CM_BETA, "c": DEFINITIONS}, "ICD-10 and of ICD-10-CM"),
        ({"a": ICD10_BETA, "b": DEFINITIONS + DEFINITIONS.splitlines()[-1]}, "more than one row"),
        ({"a": ICD10_BETA, "b": DEFINITIONS.replace('"Male"', '"men"')}, "sex 'men'"),
        ({"a": ICD10_BETA, "b": DEFINITIONS.replace("249-250.99", "249 to 250")}, "249 to 250"),
    ],
)
def test_a_faulty_table_is_named(files, texts, message):
    with pytest.raises(InputError, match=message) as raised:
        read_phecode_map(*files(**texts))
    assert "\n" not in str(raised.value)


def test_a_table_that_is_not_there_and_half_a_range_are_named(files, tmp_path):
    with pytest.raises(InputError, match="nowhere.csv: no such file"):
        read_phecode_map(tmp_path / "nowhere.csv")
    half = "phecode,icd10,name,category,sex,exclude_from,exclude_to\n401,I10,x,y,both,401,\n"
    with pytest.raises(InputError, match="phecode '401' has one end"):
        read_phecode_map(*files(half=half))
