"""An empty store, and small ECG files of every format, made from one signal, to compare readers."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import wfdb
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from regreveal.ecg_leads import LEADS
from regreveal.store.tensors import TensorStore

TWELVE_LEAD_ECG_STORAGE = "1.2.840.10008.5.1.4.1.1.9.1.1"
SCP_NUMBERS = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)


@pytest.fixture
def store(tmp_path):
    return TensorStore(tmp_path / "store")


@pytest.fixture
def microvolts() -> np.ndarray:
    """A plausible ECG, (5000, 12), in whole steps of 5 µV, in which Einthoven's law holds."""
    rng = np.random.default_rng(3)
    seconds = np.arange(5000) / 500
    phase = np.mod(seconds * 1.1, 1)
    waves = [
        np.exp(-(((phase - centre) / width) ** 2))
        for centre, width in ((0.2, 0.03), (0.4, 0.012), (0.7, 0.05))
    ]
    independent = rng.normal(0, 300, (8, 3)) @ np.stack(waves)
    independent += 900 * rng.uniform(0.5, 1.5, (8, 1)) * waves[1] + rng.normal(0, 8, (8, 5000))
    steps = np.round(independent / 10) * 2
    i, ii = steps[:2]
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    return 5.0 * np.stack([*limb, *steps[2:]], axis=1)


@pytest.fixture
def write_cardiosoft(microvolts):
    def write(path: Path, name: str = "Surname", prologue: str = "") -> Path:
        def waveforms(signal):
            return "".join(
                f'<WaveformData lead="{lead}">\t{",".join(f"{v:.0f}" for v in column / 5)}\n'
                "</WaveformData>"
                for lead, column in zip(LEADS, signal.T, strict=True)
            )

        def block(tag, signal):
            return (
                f'<{tag}><SampleRate units="Hz">500</SampleRate>'
                f"<ChannelSampleCountTotal>{len(signal)}</ChannelSampleCountTotal>"
                f'<Resolution units="uVperLsb">5</Resolution>{waveforms(signal)}</{tag}>'
            )

        path.write_text(
            f'<?xml version="1.0" encoding="ISO-8859-1"?>{prologue}<CardiologyXML>'
            f"<ObservationDateTime><Day>17</Day><Month>3</Month><Year>1987</Year>"
            f"</ObservationDateTime><PatientInfo><PID>PID-{name}</PID>"
            f"<Name><FamilyName>{name}</FamilyName></Name>"
            f'<Age units="YEARS">61</Age><Gender>FEMALE</Gender></PatientInfo>'
            f"<Interpretation><Diagnosis><DiagnosisText>Normal sinus rhythm</DiagnosisText>"
            f"<DiagnosisText>Confirmed by {name}</DiagnosisText></Diagnosis></Interpretation>"
            f"<RestingECGMeasurements><VentricularRate>66</VentricularRate>"
            f"<PQInterval>160</PQInterval><QRSDuration>92</QRSDuration><QTInterval/>"
            f"{block('MedianSamples', microvolts[:600])}</RestingECGMeasurements>"
            f"{block('StripData', microvolts)}</CardiologyXML>",
            encoding="latin-1",
        )
        return path

    return write


@pytest.fixture
def write_wfdb(microvolts):
    def write(folder: Path, record: str, comments=(), leads=LEADS, fmt="16", **changes) -> Path:
        signal = changes.pop("signal", microvolts / 1000)
        settings = {
            "fs": 500,
            "units": ["mV"] * len(leads),
            "sig_name": list(leads),
            "d_signal": np.round(signal * 1000).astype(np.int64),
            "fmt": [fmt] * len(leads),
            "adc_gain": [1000.0] * len(leads),
            "baseline": [0] * len(leads),
        }
        folder.mkdir(exist_ok=True)
        wfdb.wrsamp(record, write_dir=str(folder), comments=list(comments), **settings | changes)
        return folder / f"{record}.hea"

    return write


@pytest.fixture
def write_dicom(microvolts):
    def write(path: Path, name: str = "Surname^Name", signal=None, rate=500, **tags) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = TWELVE_LEAD_ECG_STORAGE
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5.6.7.8.9"
        dataset.SOPClassUID = TWELVE_LEAD_ECG_STORAGE
        dataset.SOPInstanceUID = "1.2.3.4.5.6.7.8.9"
        dataset.PatientName, dataset.PatientID = name, "ID-314159"
        dataset.PatientBirthDate, dataset.StudyDate = "19260101", "19870317"
        dataset.PatientSex, dataset.PatientAge = "F", "061Y"
        dataset.DeviceSerialNumber = "SERIAL-2718"
        for tag, value in tags.items():
            setattr(dataset, tag, value)
        signal = microvolts if signal is None else signal
        dataset.WaveformSequence = Sequence([_multiplex_group(signal, rate)])
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def _multiplex_group(microvolts: np.ndarray, rate: float) -> Dataset:
    group = Dataset()
    group.WaveformOriginality, group.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    group.NumberOfWaveformChannels = microvolts.shape[1]
    group.NumberOfWaveformSamples, group.SamplingFrequency = len(microvolts), rate
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.ChannelDefinitionSequence = Sequence([_channel(number) for number in SCP_NUMBERS])
    group.WaveformData = np.round(microvolts / 2.5).astype("<i2").tobytes()
    return group


def _channel(number: int) -> Dataset:
    source = Dataset()
    source.CodeValue, source.CodingSchemeDesignator = f"2:{number}", "MDC"
    source.CodeMeaning = "a lead"
    units = Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = "uV", "UCUM", "microvolt"
    channel = Dataset()
    channel.ChannelSourceSequence = Sequence([source])
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = 2.5, 1
    channel.ChannelBaseline = 0
    channel.ChannelSensitivityUnitsSequence = Sequence([units])
    channel.WaveformBitsStored = 16
    return channel


@pytest.fixture
def write_ml4h(microvolts):
    def write(path: Path, instances: int = 1, leads=LEADS, signal=None) -> Path:
        signal = microvolts if signal is None else signal
        with h5py.File(path, "w") as file:
            for instance in range(instances):
                for lead in leads:
                    column = signal[:, LEADS.index(lead)] / 5 + instance
                    for prefix, samples in (("strip", column), ("median", column[:600])):
                        dataset = file.create_dataset(
                            f"/ukb_ecg_rest/{prefix}_{lead}/instance_{instance}",
                            data=samples,
                            compression="gzip",
                        )
                        dataset.attrs["date"] = 542937600.0
                file[f"/ukb_ecg_rest/VentricularRate/instance_{instance}"] = [66.0 + instance]
                file[f"/ukb_ecg_rest/ecg_rest_text/instance_{instance}"] = "Atrial fibrillation"
        return path

    return write


@pytest.fixture
def values_in_cardiosoft():
    """Samples of a CardioSoft block by regular expression: no XML parser, none of our code."""

    def values(path: Path, block: str, lead: str) -> np.ndarray:
        text = path.read_text(encoding="latin-1")
        inside = re.search(rf"<{block}>(.*?)</{block}>", text, re.DOTALL)[1]
        waveform = re.search(rf'<WaveformData lead="{lead}">(.*?)<', inside, re.DOTALL)[1]
        return np.array([int(value) for value in re.findall(r"-?\d+", waveform)])

    return values
