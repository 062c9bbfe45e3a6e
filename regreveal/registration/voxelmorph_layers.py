"""What follows the predicted field in VoxelMorph's network, and the losses: for all of a batch.

The layers of the voxelmorph package take one sample after another in a loop, which TensorFlow
needs long to trace and cannot make fast for small images. These do the same for a batch at once.
Loaded by those who build a network: it needs TensorFlow.
"""

import numpy as np
import tensorflow as tf
import tf_keras

WINDOW = 9  # voxels along each axis, of the local correlation
SMALLEST_VARIANCE = 1e-5
INTENSITY_NOISE = 0.1  # of the standardised range: the mean squared difference is in its squares


def displacement_layer(integration_steps: int, name: str):
    """Make the layer from the predicted field to displacements in voxels of the images.

    Parameters
    ----------
    integration_steps : int
        Of scaling and squaring of a velocity at half resolution, which is then enlarged; 0 if the
        field is the displacement already.
    name : str
    """

    def displacement(field):
        if not integration_steps:
            return field
        field = field / 2**integration_steps
        for _ in range(integration_steps):
            field = field + warp(field, field)
        return 2 * enlarge(field)

    return tf_keras.layers.Lambda(displacement, name=name)


def warp_layer():
    """Make the layer from images and displacements to moved images."""
    return tf_keras.layers.Lambda(lambda inputs: warp(*inputs))


# Compiled by XLA, which makes one loop of all this: on a CPU some ten times faster.
@tf.function(jit_compile=True)
def warp(images, displacement):
    """Move images, by linear interpolation; beyond the edge is what is at the edge.

    Parameters
    ----------
    images : tensor, shape (b, *shape, c)
    displacement : tensor, shape (b, *shape, dimensions)
        In voxels.

    Returns
    -------
    tensor, shape (b, *shape, c)
    """
    shape = images.shape[1:-1].as_list()
    dimensions, channels = len(shape), images.shape[-1]
    last = np.array(shape, np.float32) - 1
    places = tf.clip_by_value(displacement + np.stack(np.indices(shape, np.float32), -1), 0, last)
    corner = tf.minimum(tf.floor(places), last - 1)
    share = places - corner
    corners = np.stack(np.indices((2,) * dimensions, np.float32), -1).reshape(-1, dimensions)
    share = tf.expand_dims(share, -2)
    weights = tf.reduce_prod(corners * share + (1 - corners) * (1 - share), axis=-1)

    strides = np.cumprod([1, *shape[:0:-1]])[::-1].astype(np.int32)
    samples = tf.reshape(tf.range(tf.shape(images)[0]), (-1, *[1] * dimensions))
    first = tf.reduce_sum(tf.cast(corner, tf.int32) * strides, axis=-1) + samples * int(
        np.prod(shape)
    )
    steps = corners.astype(np.int32) @ strides
    values = tf.gather(tf.reshape(images, (-1, channels)), first[..., None] + steps)
    return tf.reduce_sum(values * weights[..., None], axis=-2)


@tf.function(jit_compile=True)
def enlarge(field):
    """Double the resolution of a field, linearly; beyond the outermost centres it is flat.

    Parameters
    ----------
    field : tensor, shape (b, *shape, c)

    Returns
    -------
    tensor, shape (b, *[2 * size for size in shape], c)
    """
    for axis in range(1, len(field.shape) - 1):
        size = field.shape[axis]
        before = tf.gather(field, [0, *range(size - 1)], axis=axis)
        after = tf.gather(field, [*range(1, size), size - 1], axis=axis)
        halves = [0.75 * field + 0.25 * before, 0.75 * field + 0.25 * after]
        shape = field.shape.as_list()
        shape[0], shape[axis] = -1, 2 * size
        field = tf.reshape(tf.stack(halves, axis=axis + 1), shape)
    return field


def local_correlation_loss(fixed, moved):
    """Minus the mean squared local correlation, in windows of 9 voxels along each axis.

    The same as voxelmorph's NCC loss, whose sums over windows are taken here axis by axis: in
    three dimensions that is several times faster.

    Parameters
    ----------
    fixed, moved : tensor, shape (b, *shape, 1)

    Returns
    -------
    tensor, shape (b,)

    References
    ----------
    Avants et al. (2008), Med. Image Anal. 12:26; Balakrishnan et al. (2019), eq. 3.
    """
    dimensions = len(moved.shape) - 2
    products = [fixed, moved, fixed * fixed, moved * moved, fixed * moved]
    sums = tf.concat(products, axis=0)
    for axis in range(dimensions):
        window = [1] * dimensions
        window[axis] = WINDOW
        sums = tf.nn.convolution(sums, tf.ones((*window, 1, 1)), padding="SAME")
    of_fixed, of_moved, fixed_squares, moved_squares, both = tf.split(sums, 5, axis=0)
    size = WINDOW**dimensions
    covariance = tf.maximum(both - of_fixed * of_moved / size, SMALLEST_VARIANCE)
    fixed_variance = tf.maximum(fixed_squares - of_fixed**2 / size, SMALLEST_VARIANCE)
    moved_variance = tf.maximum(moved_squares - of_moved**2 / size, SMALLEST_VARIANCE)
    squared = (covariance / fixed_variance) * (covariance / moved_variance)
    return -tf.reduce_mean(squared, axis=range(1, dimensions + 2))


def difference_loss(fixed, moved):
    """Mean squared difference, in squares of a tenth of the standardised range.

    Parameters
    ----------
    fixed, moved : tensor, shape (b, *shape, 1)

    Returns
    -------
    tensor, shape (b,)
    """
    return tf.reduce_mean(tf.square(fixed - moved), axis=range(1, len(moved.shape))) / (
        INTENSITY_NOISE**2
    )
