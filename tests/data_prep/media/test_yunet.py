"""YuNet's decoding on a graph and on outputs made here; the real weights are the user's."""

import hashlib
import pickle

import numpy as np
import pytest

from data_prep.media import yunet
from data_prep.media.yunet import OUTPUTS, STRIDES, YuNetDetector, decode, fetch, suppress

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LAST = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def empty_outputs(height: int, width: int) -> dict[str, np.ndarray]:
    outputs = {}
    for name in OUTPUTS:
        kind, stride = name.split("_")
        cells = (height // int(stride)) * (width // int(stride))
        outputs[name] = np.zeros((1, cells, LAST[kind]), np.float32)
    return outputs


def put_face(outputs, width, stride, row, column, sides, trust=(0.81, 1.0)):
    """A face whose center is the middle of a cell, its eyes a quarter of its width away."""
    cell = row * (width // stride) + column
    outputs[f"cls_{stride}"][0, cell], outputs[f"obj_{stride}"][0, cell] = trust
    outputs[f"bbox_{stride}"][0, cell] = [0.5, 0.5, *np.log(np.array(sides) / stride)]
    quarter = sides[0] / 4 / stride
    eyes = [0.5 - quarter, 0.5, 0.5 + quarter, 0.5]
    outputs[f"kps_{stride}"][0, cell] = [*eyes, 0.5, 0.6, 0.4, 0.8, 0.6, 0.8]


def write_model(path, outputs, size=(96, 128)):
    """A graph that answers the same whatever it is shown, plus nothing times its input."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, results = [], [], []
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    nodes.append(helper.make_node("ReduceMax", ["input"], ["top"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["top", "zero"], ["nothing"]))
    for name, values in outputs.items():
        constants.append(numpy_helper.from_array(values, f"made_{name}"))
        nodes.append(helper.make_node("Add", [f"made_{name}", "nothing"], [name]))
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, values.shape))
    entry = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
    graph = helper.make_graph(nodes, "made", [entry], results, [zero, *constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("stride", STRIDES)
def test_decoding_puts_a_face_where_its_cell_says(stride):
    outputs = empty_outputs(96, 128)
    put_face(outputs, 128, stride, 1, 2, (40.0, 50.0))
    (row,) = decode(outputs, (96, 128), 0.5)
    x, y = 2.5 * stride, 1.5 * stride
    np.testing.assert_allclose(row[:4], [x - 20, y - 25, 40, 50], atol=1e-4)
    np.testing.assert_allclose(row[4:8], [x - 10, y, x + 10, y], rtol=1e-5)
    assert row[14] == pytest.approx(0.9), "the score is the root of the product"


def test_scores_are_clipped_before_they_are_multiplied():
    outputs = empty_outputs(96, 128)
    put_face(outputs, 128, 8, 3, 3, (20.0, 20.0), trust=(4.0, 0.25))
    put_face(outputs, 128, 8, 5, 5, (20.0, 20.0), trust=(-1.0, -1.0))
    assert decode(outputs, (96, 128), 0.4)[:, 14] == pytest.approx([0.5])


def test_of_overlapping_faces_the_most_trusted_stays():
    def face(left, trust):
        return [left, 0, 10, 10, *[0] * 10, trust]

    rows = np.array([face(0, 0.8), face(1, 0.9), face(30, 0.7)])
    assert suppress(rows, 0.3)[:, 14].tolist() == [0.9, 0.7]
    assert suppress(rows[:0], 0.3).shape == (0, 15)


def test_detector_gives_boxes_and_eyes_in_pixels_of_the_image(tmp_path):
    outputs = empty_outputs(96, 128)
    put_face(outputs, 128, 16, 2, 3, (32.0, 32.0))
    put_face(outputs, 128, 8, 9, 13, (16.0, 16.0))
    checksum = write_model(tmp_path / "made.onnx", outputs)
    detector = YuNetDetector(tmp_path / "made.onnx", checksum)
    detector = pickle.loads(pickle.dumps(detector))  # as it travels to a worker
    assert detector.recipe == {"name": "yunet", "sha256": checksum, "score": 0.7, "overlap": 0.3}
    assert YuNetDetector(tmp_path / "made.onnx", sha256=None).recipe == detector.recipe
    large, small = detector.detect(np.zeros((192, 256, 3), np.uint8))  # twice the input's size
    assert large.box == (48, 80, 64, 64) and small.box.height == 32
    np.testing.assert_allclose(large.eyes, [(96, 80), (128, 80)], rtol=1e-5)
    assert large.score == pytest.approx(0.9, abs=1e-6)


def test_input_is_blue_first_padded_and_not_enlarged():
    image = np.zeros((40, 50, 3), np.uint8)
    image[..., 0] = 200  # red
    batch, scale = yunet._prepare(image, ["height", "width"])
    assert batch.shape == (1, 3, 64, 64) and scale == 1
    assert batch[0, 2, :40, :50].min() == 200 and batch[0, 0].max() == 0
    assert batch[0, :, 40:].max() == 0
    batch, scale = yunet._prepare(image, [160, 160])
    assert batch.shape == (1, 3, 160, 160) and scale == 3.2


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"none\.onnx: no such file; .*fetch-yunet"):
        YuNetDetector(tmp_path / "none.onnx")
    path = tmp_path / "made.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"made\.onnx: the SHA-256 is [0-9a-f]{64}, expected 8f23"):
        YuNetDetector(path)
    with pytest.raises(ValueError, match="not an ONNX model"):
        YuNetDetector(path, sha256=None)
    outputs = empty_outputs(96, 128)
    del outputs["kps_8"]
    write_model(path, outputs)
    with pytest.raises(ValueError, match="not a YuNet model: it has no output 'kps_8'"):
        YuNetDetector(path, sha256=None)


def test_fetching_keeps_only_the_right_file(tmp_path):
    source = tmp_path / "source.onnx"
    source.write_bytes(b"weights")
    fetch(tmp_path / "a.onnx", source.as_uri(), hashlib.sha256(b"weights").hexdigest())
    assert (tmp_path / "a.onnx").read_bytes() == b"weights"
    with pytest.raises(ValueError, match="the SHA-256 is"):
        fetch(tmp_path / "b.onnx", source.as_uri())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "source.onnx"]


def test_a_dead_proxy_is_named_with_the_way_by_hand(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    with pytest.raises(yunet.DownloadError) as failed:
        fetch(tmp_path / "a.onnx", "http://weights.example/a.onnx", "0" * 64)
    told = str(failed.value)
    assert told.startswith("weights.example did not answer through the proxy http://127.0.0.1:9")
    assert "http_proxy" in told and f"put the file at {tmp_path / 'a.onnx'}" in told
    assert "secret" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_download_has_a_limit(tmp_path, monkeypatch):
    source = tmp_path / "source.onnx"
    source.write_bytes(b"x" * 100)
    monkeypatch.setenv("DATA_PREP_LIMITS", "download_bytes=99")
    with pytest.raises(yunet.DownloadError, match="limit download_bytes is 99"):
        fetch(tmp_path / "a.onnx", source.as_uri())
