"""Runs a command; see training/commands.py.

python -m training train --data photos/
python -m training evaluate runs/folder
"""

import sys
import threading

try:
    from training.commands import leave_to_the_main_thread, main
except ModuleNotFoundError as error:  # the service is installed without what trains
    remedy = "`make train` installs it, or .venv/bin/pip install -c constraints.txt -e '.[training]'"
    sys.exit(f"error: training needs {error.name}, which is not installed: {remedy}")

if __name__ == "__main__":
    threading.excepthook = leave_to_the_main_thread
    sys.exit(main())
