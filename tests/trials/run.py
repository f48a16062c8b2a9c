#!/usr/bin/python3
"""Trials: a gateway as it ships, under clients and endpoints that mean no good, and polite ones beside them.

usage: run.py PATH_TO_SLUICE [--whole] [NAME...]
Each trial is a file trial_NAME.py beside this one (stage.py says how they look).
"""
import importlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stage  # noqa: E402

arguments = [word for word in sys.argv[2:] if word != "--whole"]
scale = 10 if "--whole" in sys.argv else 1
folder = os.path.dirname(os.path.abspath(__file__))
names = sorted(file[6:-3] for file in os.listdir(folder) if file.startswith("trial_") and file.endswith(".py"))
unknown = [name for name in arguments if name not in names]
if unknown:
    sys.exit(f"no such trial: {' '.join(unknown)}; there are {' '.join(names)}")
stage.raise_descriptor_limit()
failures = 0
for name in arguments or names:
    begin = time.monotonic()
    try:
        importlib.import_module("trial_" + name).run(os.path.abspath(sys.argv[1]), scale)
        print(f"good   {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    except stage.Failure as failure:
        failures += 1
        print(f"FAILED {name}: {failure}", flush=True)
sys.exit(failures > 0)
