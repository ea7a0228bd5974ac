"""The benchmark of preparing videos compares like with like."""

import numpy as np
from PIL import Image

from benchmarks.preparation import bare_loop, write_release
from data_prep.media.faces import CropRules
from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset


def pictures(folder):
    return [np.asarray(Image.open(path)) for path in folder.rglob("*.png")]


def test_bare_loop_and_importer_cut_the_same_faces(tmp_path):
    write_release(tmp_path / "release", clips=3, length=9, gop=4)
    crop = CropRules(size=64)
    bare_loop(tmp_path / "release", tmp_path / "bare", 9, 2, crop)
    wishes = Wishes(frames=2, crop=crop, allow_missing=True)
    prepare_subset("siw", tmp_path / "release", tmp_path / "out", wishes, workers=1)
    bare, ours = pictures(tmp_path / "bare"), pictures(tmp_path / "out")
    assert len(bare) == len(ours) == 6
    for picture in bare:
        assert any(np.array_equal(picture, other) for other in ours)
