"""The two distributions of UniAttackData and where each keeps its lists and images.

Official release::

    UniAttackData/protocol/UniAttackData@p1_image_train.txt    (dev, test; also p1.1 to p2.2)
    UniAttackData/Data/live/east-asia/EA-321/real.rssdk/color/0070.jpg

CVPR 2024 challenge (images renamed to numbers; p1, p2.1 and p2.2 only)::

    phase1/p1/train_label.txt, dev.txt     phase1/p1/train/000001.jpg, ...
    phase2/p1/dev_label.txt, test.txt      phase2/p1/test/000001.jpg, ...

The lists of videos (``..._video_...``) are not used: images are what the papers count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from data_prep.contract.checks import SPLITS, DatasetError
from data_prep.reading import digest_file

OFFICIAL, CHALLENGE = "official release", "CVPR 2024 challenge"
PROTOCOLS = ("p1", "p1.1", "p1.2", "p1.3", "p2.1", "p2.2")
CHALLENGE_PROTOCOLS = ("p1", "p2.1", "p2.2")
_TOP = "UniAttackData"
_PHASES = ("phase1", "phase2")


@dataclass(frozen=True)
class Layout:
    """A distribution as it lies on disk.

    ``lists`` and ``unlabeled`` hold the lists by split. A path in a list is relative to the first
    of ``bases`` that has its folder, after its first part is dropped where ``strip`` names it.
    """

    distribution: str
    root: Path
    lists: dict[str, Path]
    bases: tuple[Path, ...]
    strip: str = ""
    unlabeled: dict[str, Path] = field(default_factory=dict)

    @property
    def folders(self) -> list[Path]:
        """The folders of the release itself; ``root`` may hold other things next to them."""
        if self.distribution == OFFICIAL:
            return [self.root if self.strip else self.root / _TOP]
        names = _PHASES if self.bases != (self.root,) else CHALLENGE_PROTOCOLS
        return [self.root / name for name in names]

    def place(self, path: str, known: dict[str, str]) -> str:
        """Where an image should lie, from the root; ``known`` remembers the folders looked for."""
        folder, _, name = path.rpartition("/")
        if folder not in known:
            known[folder] = self._folder(folder)
        return f"{known[folder]}{name}"

    def _folder(self, folder: str) -> str:
        if self.strip and folder.split("/")[0] == self.strip:
            folder = folder[len(self.strip) + 1 :]
        places = [base / folder for base in self.bases]
        place = next((p for p in places[:-1] if p.is_dir()), places[-1])
        inside = place.relative_to(self.root).as_posix()
        return "" if inside == "." else f"{inside}/"


def find_layout(root: Path, protocol: str) -> Layout:
    """Recognize the distribution in ``root``.

    Raises:
        DatasetError: ``root`` holds neither, or not this protocol; says what was looked for.
    """
    if not root.is_dir():
        raise DatasetError(f"no folder at {root}; --root is the folder that UniAttackData lies in")
    if protocol not in PROTOCOLS:
        raise DatasetError(f"unknown protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    layout = _official(root, protocol) or _challenge(root, protocol)
    if layout is None:
        held = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
        raise DatasetError(
            f"{root} holds no UniAttackData (found: {held}); expected {_TOP}/protocol with lists "
            f"like {_list_name(protocol, 'train')} (official release), or phase1/{protocol}/"
            "train_label.txt (CVPR 2024 challenge)"
        )
    return layout


def _list_name(protocol: str, split: str) -> str:
    return f"{_TOP}@{protocol}_image_{split}.txt"


def _official(root: Path, protocol: str) -> Layout | None:
    inner = (root / _TOP / "protocol").is_dir()
    folder = (root / _TOP if inner else root) / "protocol"
    if not folder.is_dir():
        return None
    lists = {split: folder / _list_name(protocol, split) for split in SPLITS}
    lists = {split: file for split, file in lists.items() if file.is_file()}
    if not lists:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise DatasetError(
            f"{folder} has no list of {protocol}; expected {_list_name(protocol, 'train')}, found: "
            f"{held}"
        )
    return Layout(OFFICIAL, root, lists, (root,), strip="" if inner else _TOP)


def _challenge(root: Path, protocol: str) -> Layout | None:
    phases = tuple(root / name for name in _PHASES if (root / name).is_dir())
    if not phases and any((root / name).is_dir() for name in CHALLENGE_PROTOCOLS):
        phases = (root,)  # one phase, given by itself
    if not phases:
        return None
    if protocol not in CHALLENGE_PROTOCOLS:
        raise DatasetError(
            f"the challenge has no protocol {protocol!r}; it has {', '.join(CHALLENGE_PROTOCOLS)}"
        )
    lists = {split: _only(phases, protocol, f"{split}_label.txt") for split in SPLITS}
    unlabeled = {
        split: _only(phases, protocol, f"{split}.txt") for split in SPLITS if not lists[split]
    }
    labeled = {split: file for split, file in lists.items() if file}
    if not labeled:
        raise DatasetError(
            f"{root} has no list with labels for {protocol}; expected "
            f"phase1/{protocol}/train_label.txt"
        )
    rest = {split: file for split, file in unlabeled.items() if file}
    return Layout(CHALLENGE, root, labeled, phases, unlabeled=rest)


def _only(phases: tuple[Path, ...], protocol: str, name: str) -> Path | None:
    """The list of that name; two phases may both have it if they agree."""
    found = [file for phase in phases if (file := phase / protocol / name).is_file()]
    if len(found) == 2 and digest_file(found[0]) != digest_file(found[1]):
        raise DatasetError(f"{found[0]} and {found[1]} differ; keep the right one only")
    return found[0] if found else None
