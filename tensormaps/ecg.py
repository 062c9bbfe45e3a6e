"""Resting 12-lead electrocardiograms, 500 Hz, leads I II III aVR aVL aVF V1–V6."""

from regreveal.tensormap import Standardize, TensorMap

# Millivolts are kept up to one common factor: amplitude is biology, in every lead alike.
_MILLIVOLTS = Standardize(mean=0.0, standard_deviation=0.2)

rest_10s = TensorMap(
    name="ecg.rest_10s",
    path="ecg/rest_10s",
    shape=(5000, 12),
    units="mV",
    modality="ecg",
    description="The ten-second strip as recorded: no beat is where another person's is.",
    normalize=_MILLIVOLTS,
)

median = TensorMap(
    name="ecg.median",
    path="ecg/median",
    shape=(600, 12),
    units="mV",
    modality="ecg",
    description="Median beat after QRS alignment: 1.2 s, the centre of the QRS complex at 0.48 s.",
    normalize=_MILLIVOLTS,
)
