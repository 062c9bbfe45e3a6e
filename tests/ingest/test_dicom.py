from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from regreveal.ecg_leads import LEADS
from regreveal.errors import InputError
from regreveal.ingest import dicom
from regreveal.ingest.normalisation import normalise


@pytest.fixture
def example():
    """The 12-lead ECG that comes with pydicom: 1000 Hz, rhythm strip and median beat."""
    return Path(get_testdata_file("waveform_ecg.dcm", download=False))


def test_strip_and_median_are_the_integers_times_their_sensitivity(example):
    recordings = dicom.read(example)
    groups = pydicom.dcmread(example).WaveformSequence
    assert [recording.kind for recording in recordings] == ["rest_10s", "median"]
    for recording, group in zip(recordings, groups, strict=True):
        raw = np.frombuffer(group.WaveformData, dtype="<i2").reshape(-1, 12)
        np.testing.assert_allclose(recording.signal, raw * 1.25)
        assert recording.leads == LEADS
        assert set(recording.units) == {"uV"}
        assert recording.sampling_rate == 1000


def test_strip_and_median_are_brought_to_500_hz(example):
    strip, median = dicom.read(example)
    tensor, flags = normalise(strip)
    assert tensor.shape == (5000, 12)
    assert flags == ("resampled: from 1000 Hz",)
    assert normalise(median)[0].shape == (600, 12)
    # Below the filter's edge, every second sample is what a slower device would have had.
    np.testing.assert_allclose(tensor, strip.signal[::2] / 1000, atol=0.03)


def test_facts_are_those_the_device_measured(example):
    facts = dicom.read(example)[0].facts
    assert (facts.age, facts.sex, facts.rhythm) == (42, "female", "sinus")
    assert (facts.pr_interval, facts.qrs_duration, facts.qt_interval) == (161, 75, 368)
    assert facts.heart_rate == pytest.approx(60_000 / 982)


def test_baseline_correction_and_padding_are_applied(tmp_path, write_dicom, microvolts):
    path = write_dicom(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    group = dataset.WaveformSequence[0]
    channel = group.ChannelDefinitionSequence[4]
    channel.ChannelBaseline, channel.ChannelSensitivityCorrectionFactor = 40, 2
    group.add_new("WaveformPaddingValue", "OW", np.int16(-32768).tobytes())
    samples = np.frombuffer(group.WaveformData, dtype="<i2").reshape(-1, 12).copy()
    samples[100, 7] = -32768
    group["WaveformData"].value = samples.tobytes()
    dataset.save_as(path)

    signal = dicom.read(path)[0].signal
    np.testing.assert_allclose(signal[:, 4], microvolts[:, 4] * 2 + 40)
    assert np.isnan(signal[100, 7])
    assert np.isnan(signal).sum() == 1
    with pytest.raises(InputError, match="missing samples: in lead V2"):
        normalise(dicom.read(path)[0])


def test_dicom_without_waveform_is_refused():
    path = Path(get_testdata_file("MR_small.dcm", download=False))
    assert dicom.recognises(path)
    with pytest.raises(InputError, match=r"MR_small\.dcm: no waveform"):
        dicom.read(path)


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.97])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, write_dicom, kept):
    path = write_dicom(tmp_path / "a.dcm")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"a\.dcm: ") as caught:
        dicom.read(path)
    assert "\n" not in str(caught.value)


def test_wrong_magic_is_not_recognised(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"DICM", b"DICK", 1))
    assert not dicom.recognises(path)


@pytest.mark.parametrize(
    ("valid", "damaged", "reason"),
    [
        # A type that exists nowhere, text where a number belongs, and too few channels.
        (b"\x3a\x00\x1a\x00DS", b"\x3a\x00\x1a\x00DQ", "NotImplementedError"),
        (b"\x3a\x00\x10\x02DS", b"\x3a\x00\x10\x02LO", "UFuncTypeError"),
        (b"\x3a\x00\x05\x00US\x02\x00\x0c", b"\x3a\x00\x05\x00US\x02\x00\x06", "IndexError"),
    ],
)
def test_a_damaged_element_is_refused(tmp_path, write_dicom, valid, damaged, reason):
    path = write_dicom(tmp_path / "a.dcm")
    content = path.read_bytes()
    assert valid in content
    path.write_bytes(content.replace(valid, damaged))
    with pytest.raises(InputError, match=rf"a\.dcm: unreadable file: .*{reason}"):
        dicom.read(path)


def test_a_waveform_of_more_channels_than_are_described_is_refused(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    del dataset.WaveformSequence[0].ChannelDefinitionSequence[11]
    dataset.save_as(path)
    with pytest.raises(InputError, match="12 channels, of which 11 are described"):
        dicom.read(path)


def test_a_lead_and_units_without_a_code_are_no_lead(tmp_path, write_dicom):
    path = write_dicom(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[11]
    channel.ChannelSourceSequence[0].CodeValue = None
    channel.ChannelSourceSequence[0].CodeMeaning = None
    channel.ChannelSensitivityUnitsSequence[0].CodeValue = None
    dataset.save_as(path)
    with pytest.raises(InputError, match="missing lead: V6"):
        normalise(dicom.read(path)[0])
