from data_prep.synthetic.recipe import generator_digest


def test_unused_modules_and_weights_can_be_left_out():
    every = generator_digest(weights=True)
    assert every == generator_digest(weights=True)
    others = generator_digest(weights=False), generator_digest("digital", weights=True)
    assert len({every, *others}) == 3
