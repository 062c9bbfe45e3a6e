"""What every registration must do, whatever its method: call `check_registration` in its tests."""

import numpy as np

from regreveal.registration import Registered, Registration


def check_registration(registration: Registration, x: np.ndarray, folder) -> Registered:
    """Check the contract on samples that can all be registered.

    Parameters
    ----------
    registration : Registration
        Not fitted.
    x : ndarray, shape (n, *shape, channels)
        At least three samples.
    folder : Path
        An empty folder to save in.

    Returns
    -------
    Registered
        For checks of the method's own.
    """
    given = x.copy()
    assert registration.fit(x) is registration
    registered = registration.transform(x)
    np.testing.assert_array_equal(x, given, "the input was changed")

    check_parts(registered, len(x))
    assert registered.qc["ok"].all(), registered.qc["reason"].tolist()
    assert np.isfinite(registered.tensors).all()

    check_same(registration.transform(x), registered)
    check_independence(registration, x, registered)
    check_bad_samples(registration, x, registered)
    empty = registration.transform(x[:0])
    check_parts(empty, 0)
    assert empty.tensors.shape[1:] == registered.tensors.shape[1:]

    registration.save(folder)
    loaded = type(registration).load(folder)
    assert type(loaded) is type(registration)
    assert loaded.get_params().keys() == registration.get_params().keys()
    check_same(loaded.transform(x), registered)
    return registered


def check_parts(registered, n):
    qc = registered.qc
    assert len(registered.tensors) == len(qc) == len(registered.transforms) == n
    assert list(qc.columns[:2]) == ["ok", "reason"]
    assert qc["ok"].dtype == bool
    assert ((qc["reason"] == "") == qc["ok"]).all()
    assert np.isnan(registered.tensors[~qc["ok"].to_numpy()]).all()


def check_same(one, other):
    np.testing.assert_array_equal(one.tensors, other.tensors)
    assert one.qc.equals(other.qc)
    for left, right in zip(one.transforms, other.transforms, strict=True):
        np.testing.assert_array_equal(left, right)


def check_independence(registration, x, registered):
    """What a sample becomes does not depend on the samples beside it, so work can be divided."""
    alone = registration.transform(x[1:2])
    np.testing.assert_array_equal(alone.tensors[0], registered.tensors[1])
    np.testing.assert_array_equal(alone.transforms[0], registered.transforms[1])


def check_bad_samples(registration, x, registered):
    """A bad sample is marked, is NaN, and leaves the others as they were."""
    rng = np.random.default_rng(0)
    one_missing = x[0].copy()
    one_missing[(0,) * one_missing.ndim] = np.nan
    for bad in (
        one_missing,
        np.full_like(x[0], np.nan),
        np.full_like(x[0], np.inf),
        np.zeros_like(x[0]),
        rng.choice([-1e30, 1e30], x[0].shape).astype(x.dtype),
    ):
        mixed = registration.transform(np.stack([bad, *x[1:]]))
        check_parts(mixed, len(x))
        assert not mixed.qc["ok"][0]
        assert mixed.qc["ok"][1:].all()
        np.testing.assert_array_equal(mixed.tensors[1:], registered.tensors[1:])
