"""Trained detectors outside training: scores of any image or video, and export to ONNX."""

WARNING = (
    "This protects nothing. The detector learned from the data of its training alone; nobody has "
    "tested it against attacks by people who want to pass."
)
"""Said with every score and written into every exported file."""
EXTRA = "install the extra for it: pip install 'lasoftmoe[export]'"
