"""An app that is switched by the file named by FASTLB_TEST_RELEASE: it names a module beside this one.

It stands for a release directory: the next generation of workers runs what the file names then.
"""

import importlib
import os
from pathlib import Path

app = importlib.import_module(Path(os.environ["FASTLB_TEST_RELEASE"]).read_text().strip()).app
