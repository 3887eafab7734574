"""``python -m saliency_pred`` is ``saliency``."""

import sys

from saliency_pred.cli import main

sys.exit(main())
