"""The daemon of Spark's Python tasks on one machine.

Spark puts archives (its own jar, its Python library) on the path of modules, and
reads their directories again for each task. They hold nothing that is not installed
beside this interpreter, and a task here is often shorter than that.
"""

import sys

sys.path[:] = [entry for entry in sys.path if not entry.endswith((".jar", ".zip"))]
sys.path_importer_cache.clear()

from pyspark.daemon import manager  # noqa: E402

if __name__ == "__main__":
    manager()
