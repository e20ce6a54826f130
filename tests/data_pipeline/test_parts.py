"""What each of several processes reads of a batch."""

import numpy as np

from data_pipeline.dataset import batches


def test_parts_side_by_side_are_the_batch_and_share_its_place(tmp_path, clip, save):
    save(tmp_path, [clip(seed, evaluation=False) for seed in range(7)])

    def read(size=4, **part):
        return batches(tmp_path, batch=size, frames=20, seed=3, **part)

    alone, parts = read(), [read(part=(index, 2)) for index in range(2)]
    for _ in range(5):  # into the third epoch
        whole, halves = next(alone), [next(part) for part in parts]
        for name, array in whole.items():
            np.testing.assert_array_equal(array, np.concatenate([half[name] for half in halves]))
    assert alone.get_state()["place"] == parts[0].get_state()["place"] == parts[1].get_state()["place"]
    resumed = read(part=(1, 2))
    resumed.set_state(alone.get_state())
    np.testing.assert_array_equal(next(resumed)["avatar_motion"], next(alone)["avatar_motion"][2:])
