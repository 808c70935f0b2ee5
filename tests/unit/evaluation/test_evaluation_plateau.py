from mien.evaluation.plateau import plateau_epoch


def test_noise_of_less_than_half_a_point_does_not_move_the_plateau():
    rising = [0.5 + 0.01 * epoch for epoch in range(20)]
    flat = [0.69 + 0.002 * (-1) ** epoch for epoch in range(30)]
    assert 22 <= plateau_epoch([*rising, *flat]) <= 26


def test_a_run_that_always_improves_reaches_it_at_its_end():
    assert plateau_epoch([0.02 * epoch for epoch in range(40)]) == 40


def test_too_short_a_run_has_none():
    assert plateau_epoch([0.5] * 9) is None
