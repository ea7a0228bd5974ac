"""The nine sets by name."""

from __future__ import annotations

from data_prep.releases.jfsfdb import (
    celebdf,
    dfdc,
    faceforensics,
    hkbu_marsv2,
    msu_mfsd,
    rose_youtu,
    siw,
    threedmad,
    threedmask,
)

_MODULES = (
    siw,
    threedmad,
    hkbu_marsv2,
    msu_mfsd,
    threedmask,
    rose_youtu,
    faceforensics,
    dfdc,
    celebdf,
)
SUBSETS = {module.SUBSET.name: module.SUBSET for module in _MODULES}
