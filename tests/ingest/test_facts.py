import pytest

from regreveal.ingest.facts import age_in_years, measurement, rhythm_of_text, sex_of
from regreveal.ingest.files import identity


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("63", 63),
        (" 5 ", 5),
        ("042Y", 42),
        ("018M", 1.5),
        ("61.5", 61.5),
        (">89", 90),
        ("90+", 90),
        ("300", 90),
        (">18", None),
        ("<1", None),
        ("NaN", None),
        ("Unknown", None),
        ("", None),
        (None, None),
        ("-1", None),
        ("199", None),
    ],
)
def test_age(text, years):
    assert age_in_years(text) == years


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("F", "female"),
        ("MALE", "male"),
        ("Female", "female"),
        ("O", None),
        ("NaN", None),
        (None, None),
    ],
)
def test_sex(text, sex):
    assert sex_of(text) == sex


@pytest.mark.parametrize(
    ("statements", "rhythm"),
    [
        (["Normal sinus rhythm", "Normal ECG"], "sinus"),
        (["RITMO SINUSALE", "ECG NORMALE"], "sinus"),
        (["Sinusrhythmus"], "sinus"),
        (["Atrial fibrillation with rapid ventricular response"], "other"),
        (["Fibrillazione atriale"], "other"),
        (["Electronic ventricular pacemaker"], "other"),
        (["Supraventricular tachycardia"], "other"),
        (["Sinus arrest"], "other"),
        (["Sinus rhythm", "atrial flutter"], None),
        (["Undetermined rhythm"], None),
        (["Left ventricular hypertrophy"], None),
        ([], None),
    ],
)
def test_rhythm_of_statements(statements, rhythm):
    assert rhythm_of_text(statements) == rhythm


@pytest.mark.parametrize(("value", "number"), [("92", 92), ("", None), (None, None), ("0", None)])
def test_measurement(value, number):
    assert measurement(value) == number


def test_identity_is_the_stem_or_a_uk_biobank_participant_and_visit(tmp_path):
    assert identity(tmp_path / "E07500.hea") == ("E07500", None)
    assert identity(tmp_path / "1000012_20205_2_0.xml") == ("1000012", 2)
    assert identity(tmp_path / "100_20205_2_0.xml") == ("100_20205_2_0", None)
