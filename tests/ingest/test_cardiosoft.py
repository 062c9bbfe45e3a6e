import numpy as np
import pytest

from regreveal.ecg_leads import LEADS
from regreveal.errors import InputError
from regreveal.ingest import cardiosoft

EXTERNAL_ENTITY = '<!DOCTYPE CardiologyXML [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
ENTITY_BOMB = '<!DOCTYPE CardiologyXML [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


def test_every_sample_of_a_real_file_is_five_microvolts_a_unit(shared_data, values_in_cardiosoft):
    path = shared_data / "ecg/cardiosoft/example1.xml"
    strip, median = cardiosoft.read(path)
    assert (strip.kind, strip.signal.shape) == ("rest_10s", (5000, 12))
    assert (median.kind, median.signal.shape) == ("median", (600, 12))
    for recording, block in ((strip, "StripData"), (median, "MedianSamples")):
        assert recording.leads == LEADS
        assert recording.units == ("uV",) * 12
        assert recording.sampling_rate == 500
        for column, lead in enumerate(LEADS):
            expected = 5 * values_in_cardiosoft(path, block, lead)
            np.testing.assert_array_equal(recording.signal[:, column], expected)


def test_facts_of_a_real_file_are_those_the_device_printed(shared_data):
    facts = cardiosoft.read(shared_data / "ecg/cardiosoft/example1.xml")[0].facts
    assert (facts.age, facts.sex, facts.rhythm) == (18, "male", None)
    assert (facts.heart_rate, facts.pr_interval) == (42, 250)
    assert (facts.qrs_duration, facts.qt_interval) == (106, 462)


def test_rhythm_comes_from_the_interpretation_and_empty_measurements_stay_missing(
    tmp_path, write_cardiosoft
):
    facts = cardiosoft.read(write_cardiosoft(tmp_path / "a.xml"))[0].facts
    assert facts.rhythm == "sinus"
    assert (facts.qrs_duration, facts.qt_interval) == (92, None)


@pytest.mark.parametrize("prologue", [EXTERNAL_ENTITY, ENTITY_BOMB])
def test_entities_are_refused_in_one_line(tmp_path, write_cardiosoft, prologue):
    path = write_cardiosoft(tmp_path / "a.xml", name="&secret;", prologue=prologue)
    assert cardiosoft.recognises(path)
    with pytest.raises(InputError, match=r"a\.xml: unsafe XML") as caught:
        cardiosoft.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("</CardiologyXML>", "", "unreadable file"),
        ("<StripData>", "<NoData>", "unreadable file"),
        ("uVperLsb", "furlongs", "unknown units"),
        (">5000<", ">5001<", "unreadable file"),
        ("ISO-8859-1", "GB2312", "unreadable file: ValueError: multi-byte encodings"),
        ('<SampleRate units="Hz">500', '<SampleRate units="Hz">fast', "unreadable file"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, write_cardiosoft, old, new, reason):
    path = write_cardiosoft(tmp_path / "a.xml")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=reason):
        cardiosoft.read(path)


def test_a_file_without_strip_is_refused(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<CardiologyXML><PatientInfo/></CardiologyXML>")
    with pytest.raises(InputError, match="no 10 s strip"):
        cardiosoft.read(path)


def test_other_xml_is_not_recognised(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<AnnotatedECG/>")
    assert not cardiosoft.recognises(path)
