"""Writes the ZIP of an application as the SDK would deploy it: zip_app.py APP.py OUT.zip"""

import os
import sys

from tensorlake.applications.registry import get_functions
from tensorlake.applications.remote.code.loader import load_code
from tensorlake.applications.remote.code.zip import zip_code

source, target = sys.argv[1:3]
load_code(os.path.abspath(source))
code = zip_code(
    code_dir_path=os.path.dirname(os.path.abspath(source)),
    ignored_absolute_paths=set(),
    all_functions=get_functions(),
)
with open(target, "wb") as out:
    out.write(code)
