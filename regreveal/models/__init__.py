"""Autoencoders and their training."""

import os

# Read by TensorFlow when it is imported, so before Keras is: take GPU memory as it is needed
# rather than all of it, and keep remarks about CPU instructions from users' terminals.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
