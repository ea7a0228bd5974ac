"""Miniature releases of the nine sets: short encoded videos of rendered faces."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.scene.renderer import render
from tests.data_prep.videos import write_video

FRAMES = 6
SIZE = 96
# People of the renderer whose faces the embedded detector finds.
FOUND = (2, 3, 7, 9)


@cache
def face(person: int = 0) -> np.ndarray:
    """A rendered face that the embedded detector finds, RGB uint8 (SIZE, SIZE, 3)."""
    number = FOUND[person % len(FOUND)]
    radiance = render(sample_identities(1, 0, number), sample_sessions(1, 0, number), SIZE).radiance
    light = radiance[0].clamp(0, 1).numpy() ** (1 / 2.2)
    return (255 * light).round().astype(np.uint8).transpose(1, 2, 0)


def clip_of(person: int = 0, frames: int = FRAMES) -> list[np.ndarray]:
    """A face that drifts a little from frame to frame."""
    return [np.roll(face(person), number % 5 - 2, axis=1) for number in range(frames)]


def marked(frames: list[np.ndarray], clip: str) -> list[np.ndarray]:
    """The frames in a tint of their clip, since no two clips show the same pixels."""
    seed = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:8], "big")
    tint = np.random.default_rng(seed).integers(-10, 11, 3)
    return [np.clip(frame + tint, 0, 255).astype(np.uint8) for frame in frames]


def video(path: Path, person: int = 0, frames: int = FRAMES, **options: str) -> Path:
    pixels = marked(clip_of(person, frames), "/".join(path.parts[-3:]))
    return write_video(path, pixels, "mpeg4", gop=3, **options)


def pictures(folder: Path, person: int = 0) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(marked(clip_of(person, 3), "/".join(folder.parts[-3:]))):
        Image.fromarray(frame).save(folder / f"{number}.png")


def siw(root: Path) -> Path:
    for split, subjects in {"Train": ("003", "004", "005"), "Test": ("010", "011")}.items():
        for person, subject in enumerate(subjects):
            video(root / f"{split}/live/{subject}/{subject}-1-1-1-1.mov", person)
            video(root / f"{split}/spoof/{subject}/{subject}-1-2-1-1.mov", person)
            video(root / f"{split}/spoof/{subject}/{subject}_2_3_4_1.mp4", person)
            (root / f"{split}/live/{subject}/{subject}-1-1-1-1.face").write_text("1 2 3 4\n")
    return root


def threedmad(root: Path) -> Path:
    for subject in range(1, 6):
        for session in (1, 2, 3):
            root.mkdir(parents=True, exist_ok=True)
            # As if the sensor's picture lay on its side beside a border that makes it wider.
            pixels = marked(clip_of(subject, 4), f"{subject}-{session}")
            frames = [np.pad(f, ((0, 0), (16, 16), (0, 0))) for f in pixels]
            with h5py.File(root / f"{subject:02d}_{session:02d}_01.hdf5", "w") as recording:
                recording["Color_Data"] = np.stack(frames).transpose(0, 3, 1, 2)
                recording["Depth_Data"] = np.zeros((4, 1, 4, 4), np.uint16)
                recording["Eye_Pos"] = np.zeros((4, 4))
    return root


def hkbu_marsv2(root: Path) -> Path:
    for kind in ("real", "attack"):
        for subject in range(1, 6):
            pictures(root / f"{kind}/{subject:02d}/02_04_{subject}", subject)
            video(root / f"{kind}/{subject:02d}/01_04_{subject:02d}.avi", subject)
    return root


def msu_mfsd(root: Path) -> Path:
    for subject in (2, 3, 7, 21):
        name = f"client{subject:03d}"
        video(root / f"scene01/real/real_{name}_laptop_SD_scene01.mov", subject)
        video(root / f"scene01/real/real_{name}_android_SD_scene01.mp4", subject)
        for medium in ("printed_photo", "ipad_video", "iphone_video"):
            video(root / f"scene01/attack/attack_{name}_android_SD_{medium}_scene01.mp4", subject)
    (root / "train_sub_list.txt").write_bytes(b"02\r\n03\r\n\r\n")
    (root / "test_sub_list.txt").write_text("7\n21\n")
    return root


def threedmask(root: Path) -> Path:
    for subject in (17, 18):
        video(root / f"Real/0928_{subject:03d}/16.mp4", subject)
        pictures(root / f"Fake/0928_{subject:03d}/1/2", subject)
    return root


def rose_youtu(root: Path) -> Path:
    for person, device in enumerate(("5s", "IP", "HS", "HW", "ZTE")):
        for kind in ("G", "Ps", "Pq", "Vl", "Vm", "Mc", "Mf", "Mu")[person:][:2]:
            video(root / f"{kind}_NT_{device}_g_E_{person + 2}_1.mp4", person)
    return root


def faceforensics(root: Path) -> Path:
    pairs = {"train": [["000", "003"]], "val": [["071", "054"]], "test": [["101", "102"]]}
    for split, listed in pairs.items():
        (root / "splits").mkdir(parents=True, exist_ok=True)
        (root / f"splits/{split}.json").write_text(json.dumps(listed))
        for first, second in [*listed, *(pair[::-1] for pair in listed)]:
            video(root / f"original_sequences/youtube/c23/videos/{first}.mp4", int(first))
            for method in ("Deepfakes", "Face2Face", "NeuralTextures"):
                below = root / f"manipulated_sequences/{method}/c23/videos"
                video(below / f"{first}_{second}.mp4", int(first))
    video(root / "original_sequences/youtube/c40/videos/000.mp4")
    video(root / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4")
    return root


def dfdc(root: Path) -> Path:
    for part, split in enumerate(("train", "test")):
        folder, listed = root / f"dfdc_part_{part}", {}
        for person in range(2):
            real, fake = f"real{part}{person}.mp4", f"fake{part}{person}.mp4"
            video(folder / real, person)
            video(folder / fake, person)
            listed[real] = {"label": "REAL", "split": split}
            listed[fake] = {"label": "FAKE", "split": split, "original": real}
        (folder / "metadata.json").write_text(json.dumps(listed))
    return root


def dfdc_preview(root: Path) -> Path:
    listed = {}
    for person, split in enumerate(("train", "test")):
        for kind in ("real", "fake"):
            path = f"method_A/{person}/{kind}.mp4"
            video(root / path, person)
            listed[path] = {"label": kind, "set": split, "target_id": f"actor{person}"}
    (root / "dataset.json").write_text(json.dumps(listed))
    return root


def celebdf(root: Path) -> Path:
    for person in range(3):
        video(root / f"Celeb-real/id{person}_0000.mp4", person)
        video(root / f"Celeb-real/id{person}_0001.mp4", person)
        video(root / f"Celeb-synthesis/id{person}_id{person + 1}_0000.mp4", person)
        video(root / f"YouTube-real/0000{person}.mp4", person)
    lines = ["1 YouTube-real/00000.mp4", "1 Celeb-real/id0_0000.mp4"]
    lines.append("0 Celeb-synthesis/id0_id1_0000.mp4")
    (root / "List_of_testing_videos.txt").write_text("\n".join(lines) + "\n")
    return root


BUILDERS = {
    "siw": siw,
    "threedmad": threedmad,
    "hkbu_marsv2": hkbu_marsv2,
    "msu_mfsd": msu_mfsd,
    "threedmask": threedmask,
    "rose_youtu": rose_youtu,
    "faceforensics": faceforensics,
    "dfdc": dfdc,
    "celebdf": celebdf,
}
