#!/usr/bin/python3
"""docs/reasons.md is what the program says, and every code of the source has its words there.

usage: reasons_test.py PATH_TO_SLUICE SOURCE_FOLDER
"""
import re
import subprocess
import sys

sluice, source = sys.argv[1:]
printed = subprocess.run([sluice, "reasons", "--markdown"], capture_output=True, text=True, check=True).stdout
failures = []
with open(f"{source}/docs/reasons.md") as file:
    if file.read() != printed:
        failures.append("docs/reasons.md is old: sluice reasons --markdown >docs/reasons.md")
explained = set(re.findall(r"^\| `([^`]+)`", printed, re.M))
made = set()
for path in ("proxy/reason.cpp", "http/rule.cpp", "auth/refusal.cpp"):
    with open(f"{source}/{path}") as file:
        made |= {code for code in re.findall(r'return "([^"]*)";', file.read()) if code != "-"}
for code in sorted(made - explained):
    failures.append(f"{code} has no words in proxy/reason_words.cpp")
for code in sorted(explained - made - {"limit.NAME"}):
    failures.append(f"{code} has words in proxy/reason_words.cpp, and nothing says it")
one = subprocess.run([sluice, "reasons", "limit.guard"], capture_output=True, text=True)
if one.returncode != 0 or "Retry-After" not in one.stdout:
    failures.append("sluice reasons limit.guard does not say what a limit is")
other = subprocess.run([sluice, "reasons", "no.such"], capture_output=True, text=True)
if other.returncode != 2 or "is no reason code" not in other.stderr:
    failures.append("sluice reasons no.such is not refused")
print("\n".join(failures))
sys.exit(1 if failures else 0)
