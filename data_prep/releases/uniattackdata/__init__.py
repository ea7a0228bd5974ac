"""UniAttackData (Fang et al. 2024, arXiv 2401.17699), from either of its two distributions.

The data are given out by their authors on application; nothing here downloads them. Images stay
where they lie: a prepared dataset holds tables that refer to them.
"""

from data_prep.releases.uniattackdata.importer import import_uniattackdata
from data_prep.releases.uniattackdata.options import Options

__all__ = ["Options", "import_uniattackdata"]
