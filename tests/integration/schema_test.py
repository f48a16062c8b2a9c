#!/usr/bin/python3
"""The schema of the configuration file: the examples of the tree fit it, what the gateway refuses does not, its defaults are
those that hold, and the effective configuration is one itself.

usage: schema_test.py PATH_TO_SLUICE TREE
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

sluice, tree = sys.argv[1:3]
environment = {**os.environ, "JWT_SECRET": "a secret of the tests that is long enough even for HS512, as the warning would say"}
folder = tempfile.mkdtemp()
failures = 0


def run(*arguments):
    return subprocess.run([sluice, *arguments], capture_output=True, text=True, env=environment, cwd=tree)


def expect(is_so, what):
    global failures
    if not is_so:
        failures += 1
        print("FAILED:", what)


schema = json.loads(run("config", "--schema").stdout)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)

# Every example of the tree: whole files, and what the documents show.
examples = {"deploy/sluice.yaml": open(f"{tree}/deploy/sluice.yaml").read()}
for document in ("README.md", "deploy/README.md", "deploy/configuration.md"):
    if os.path.exists(f"{tree}/{document}"):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", open(f"{tree}/{document}").read(), re.S)):
            examples[f"{document} #{number}"] = block
expect(len(examples) > 2, "there are examples")
for name, text in examples.items():
    content = yaml.safe_load(text)
    for error in validator.iter_errors(content):
        expect(False, f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    if "routes" not in content:
        continue  # a part of a file
    path = f"{folder}/example.yaml"
    open(path, "w").write(text)
    checked = run("check", path)
    expect(checked.returncode == 0, f"{name}: {checked.stderr}")
    effective = run("config", "--effective", "-c", path)
    expect(effective.returncode == 0 and "# default" in effective.stdout, f"{name}: effective: {effective.stderr}")
    for error in validator.iter_errors(yaml.safe_load(effective.stdout)):
        expect(False, f"{name}, effective: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    open(f"{folder}/effective.yaml", "w").write(effective.stdout)
    again = run("config", "--effective", "-c", f"{folder}/effective.yaml")
    without = lambda shown: [line.split("  #")[0].rstrip() for line in shown.splitlines()]
    expect(without(again.stdout) == without(effective.stdout), f"{name}: what is effective of the effective is the same: {again.stderr}")

# What holds because another key says so is shown as that.
open(f"{folder}/derived.yaml", "w").write(examples["deploy/sluice.yaml"].replace("limits:\n", "limits:\n  derived: { key: address, rate: 1/s, burst: 7 }\n"
                                                                               "  shaped: { key: address, rate: 1/s, burst: 7, shape: true }\n", 1))
shown = run("config", "--effective", "-c", f"{folder}/derived.yaml").stdout
expect(re.search(r"delay: 7 +# default, by burst", shown) and re.search(r"delay: 0 +# default, by shape", shown), "the delay that holds is shown")

# What the gateway refuses as unknown or of the wrong kind, an editor underlines.
good = yaml.safe_load(examples["deploy/sluice.yaml"])
for change in ({"logs": "-"}, {"workers": {"cores": "many"}}, {"timeouts": {"head": "5"}}, {"sandbox": "maybe"}, {"routes": [{"upstream": "service"}]},
               {"routes": [{"auth": "none", "upstream": "service", "redirect": {"to": "/x"}}]}, {"listen": "8000"}):
    expect(not validator.is_valid({**good, **change}), f"the schema lets {change} pass")
    open(f"{folder}/bad.yaml", "w").write(yaml.safe_dump({**good, **change}))
    expect(run("check", f"{folder}/bad.yaml").returncode == 2, f"sluice check lets {change} pass")

# Both know the same keys: each complains about one that is in no list, and names what it has.
def keys_of(said):
    found = re.search(r"it may have (.*)", said)
    return set(re.split(r", | or ", found.group(1).strip())) if found else set()


unknown = {**good, "zzzzzzzzzzzz": 1}
open(f"{folder}/bad.yaml", "w").write(yaml.safe_dump(unknown))
expect(keys_of(run("check", f"{folder}/bad.yaml").stderr) == set(schema["properties"]), "the keys of the file")
for section, sample in {"workers": None, "timeouts": None, "drain": None, "resolver": None, "limiter": None, "failed_tokens": None}.items():
    open(f"{folder}/bad.yaml", "w").write(yaml.safe_dump({**good, section: {"zzzzzzzzzzzz": 1}}))
    expect(keys_of(run("check", f"{folder}/bad.yaml").stderr) == set(schema["properties"][section]["properties"]), f"the keys of {section}")
for section, name in (("upstreams", "service"), ("limits", "guard"), ("auth", "main")):
    changed = json.loads(json.dumps(good))
    changed[section][name]["zzzzzzzzzzzz"] = 1
    open(f"{folder}/bad.yaml", "w").write(yaml.safe_dump(changed))
    known = keys_of(run("check", f"{folder}/bad.yaml").stderr)
    expect(known == set(schema["properties"][section]["additionalProperties"]["properties"]), f"the keys of {section}: {known}")
changed = json.loads(json.dumps(good))
changed["routes"][0]["zzzzzzzzzzzz"] = 1
open(f"{folder}/bad.yaml", "w").write(yaml.safe_dump(changed))
expect(keys_of(run("check", f"{folder}/bad.yaml").stderr) == set(schema["properties"]["routes"]["items"]["properties"]), "the keys of a route")

print("ok" if failures == 0 else f"{failures} failures")
sys.exit(failures != 0)
