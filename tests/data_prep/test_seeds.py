from data_prep.seeds import derive_seed


def test_seeds_depend_on_every_part_and_are_the_same_everywhere():
    seeds = {derive_seed(*parts) for parts in [(1, 2), (2, 1), (12,), ("1", 2, 0), ("a", 1, 2)]}
    assert len(seeds) == 5 and all(0 <= seed < 2**62 for seed in seeds)
    assert derive_seed("dataset", 0, 7) == 1849498109528259284
