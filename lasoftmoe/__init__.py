"""La-SoftMoE CLIP for unified physical-digital face attack detection.

=============  ==============================================================
moe            Soft MoE, La-SoftMoE, and the sparse MoE: one idea a file
prompts, clip  T-1 to T-8; CLIP loaded or built through open_clip
losses         Eq. 1 and its alternatives
methods        one file for each method of face attack detection
data           prepared datasets as batches
training       the loop, its optimizer, and checkpoints
metrics        error rates, ranking metrics, and intervals
experiment     configurations, presets, and cached runs
records        the paper's tables, and recorded runs
plots          figures
exercises      checks of the book's exercises
=============  ==============================================================
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lasoftmoe")
except PackageNotFoundError:  # a folder of sources that was never installed
    __version__ = "unknown"
