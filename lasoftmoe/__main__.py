"""``python -m lasoftmoe`` is the command ``lasoftmoe``."""

import sys

from lasoftmoe.cli import main

sys.exit(main())
