import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regreveal.simulation.cardiac_cycle import cycle_of

PHASES = np.linspace(0, 1, 2001)[None]


def one_cycle(heart_rate, kick_share=0.22):
    return cycle_of(np.array([float(heart_rate)]), np.array([kick_share]))


@given(st.floats(30, 140), st.floats(0.05, 0.4))
def test_curves_close_and_stay_between_empty_and_full(heart_rate, kick_share):
    cycle = one_cycle(heart_rate, kick_share)
    for curve in (cycle.ejected(PHASES)[0], cycle.atrial_filling(PHASES)[0]):
        assert curve[0] == pytest.approx(0, abs=1e-12)
        assert curve[-1] == pytest.approx(0, abs=1e-12)
        assert -1e-9 <= curve.min() <= curve.max() <= 1 + 1e-9
        assert curve.max() == pytest.approx(1, abs=0.02)
        assert np.abs(np.diff(curve)).max() < 0.02
    opened = cycle.valves_open(PHASES)
    assert opened.min() >= 0
    assert opened.max() <= 1


def test_phase_counts_modulo_one():
    cycle = one_cycle(65)
    for curve in (cycle.ejected, cycle.atrial_filling, cycle.valves_open):
        np.testing.assert_allclose(curve(PHASES[:, 5:-5] - 2), curve(PHASES[:, 5:-5]), atol=1e-9)


def test_systole_takes_the_known_time_and_more_of_a_fast_cycle():
    ends = {rate: one_cycle(rate).ejection_end[0] for rate in (50, 65, 100)}
    # Weissler's QS2 at 65 a minute: 546 - 2.1 x 65 = 410 ms (men), 549 - 2.0 x 65 = 419 ms (women).
    assert ends[65] * 60_000 / 65 + 40 == pytest.approx(414, abs=3)
    assert ends[50] < ends[65] < ends[100]
    assert ends[100] == pytest.approx(0.5, abs=0.05)


def test_ventricles_neither_fill_nor_empty_while_all_valves_are_shut():
    cycle = one_cycle(65)
    ejected = cycle.ejected(PHASES)[0]
    before = PHASES[0] < cycle.ejection_start
    relaxation = (PHASES[0] > cycle.ejection_end) & (PHASES[0] < cycle.filling_start)
    assert relaxation.sum() > 100
    np.testing.assert_allclose(ejected[before], 0, atol=1e-12)
    np.testing.assert_allclose(ejected[relaxation], 1, atol=1e-12)
    assert (cycle.valves_open(PHASES)[0][before | relaxation] == 0).all()


def test_filling_is_rapid_then_slow_then_the_kick():
    cycle = one_cycle(60)
    flow = -np.gradient(cycle.ejected(PHASES)[0], PHASES[0])

    def fastest(start, end):
        return flow[(PHASES[0] >= start) & (PHASES[0] <= end)].max()

    rapid = fastest(cycle.filling_start, cycle.filling_end)
    diastasis = fastest(cycle.filling_end + 0.01, cycle.kick_start - 0.01)
    kick = fastest(cycle.kick_start, cycle.kick_end)
    assert 0 < diastasis < 0.2 * kick < kick < rapid


def test_kick_brings_its_share():
    cycle = one_cycle(60, kick_share=0.3)
    before, after = cycle.ejected(np.array([[cycle.kick_start[0], 1.0]]))[0]
    assert before - after == pytest.approx(0.3, abs=0.02)
