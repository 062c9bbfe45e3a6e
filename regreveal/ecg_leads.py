"""The twelve standard leads, in the order every 12-lead tensor of RegReveal keeps."""

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
