"""Oxen from a command line: oxen_do.py version | init WS | add WS LABEL | restore WS LABEL. For oxen.sh; needs oxenai.

Not named oxen.py: a script's own folder is the first place that Python looks for the module."""
import sys
from importlib.metadata import version

import oxen

op = sys.argv[1]
if op == "version":
    print("oxenai", version("oxenai"))
    sys.exit()
repo = oxen.Repo(sys.argv[2])
if op == "init":
    oxen.user.config_user("b", "b@b.b")
    repo.init()
elif op == "add":
    repo.add("data")
    try:
        repo.commit(sys.argv[3])
    except ValueError as e:
        if "no changes" not in str(e).lower():      # nothing changed: as good as a commit
            raise
elif op == "restore":
    repo.restore("data")
