#!/usr/bin/python3
"""Completions and manual pages know every command, option and key that there is, and the shells of this machine take them.

usage: completion_test.py PATH_TO_SLUICE
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile

sluice = sys.argv[1]
failures = 0


def expect(is_so, what):
    global failures
    if not is_so:
        failures += 1
        print("FAILED:", what)


def run(*arguments, **more):
    return subprocess.run([sluice, *arguments], capture_output=True, text=True, **more)


def commands_of(path):
    """What --help says of a command and those below it: (path, options, subcommands)."""
    text = run(*path, "--help").stdout
    options = re.findall(r"^  (-[\w,-]+)", text, re.M)
    found = [(path, [name for names in options for name in names.split(",")], [])]
    listed = re.search(r"^Subcommands:\n((?:  .*\n?)+)", text, re.M)
    for name in re.findall(r"^  ([a-z]\S*)", listed[1], re.M) if listed else []:
        found[0][2].append(name)
        found += commands_of([*path, name])
    return found


def keys_of(schema, node, seen=()):
    """The names of all keys that the schema knows."""
    if isinstance(node, list):
        return set().union(*(keys_of(schema, part, seen) for part in node))
    if not isinstance(node, dict):
        return set()
    names = set(node.get("properties", {}))
    reference = node.get("$ref", "")
    if reference and reference not in seen:
        names |= keys_of(schema, schema["$defs"][reference.rsplit("/", 1)[1]], (*seen, reference))
    for part in [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties"), node.get("anyOf")]:
        names |= keys_of(schema, part, seen)
    return names


def bash_completes(script, *words):
    ask = f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return set(subprocess.run(["bash", "-c", ask, "-", *words], capture_output=True, text=True, cwd=folder.name).stdout.split())


folder = tempfile.TemporaryDirectory()
commands = commands_of([])
expect(len(commands) > 15 and any(path == ["token", "mint"] for path, _, _ in commands), f"--help lists the commands: {[path for path, _, _ in commands]}")
scripts = {}
for shell in ("bash", "zsh", "fish"):
    scripts[shell] = f"{folder.name}/_sluice.{shell}"
    with open(scripts[shell], "w") as file:
        file.write(run("completion", shell).stdout)
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n", scripts[shell]], capture_output=True, text=True)
        expect(checked.returncode == 0 and not checked.stderr, f"{shell} takes its completion: {checked.stderr}")
    elif shell == "bash":
        expect(False, "there is no bash")
text = {shell: open(path).read() for shell, path in scripts.items()}
page = run("man").stdout.replace("\\-", "-")
for path, options, parts in commands:
    for name in parts:
        expect(name in bash_completes(scripts["bash"], "sluice", *path, ""), f"bash: {path} {name}")
        expect(f"'{name}:" in text["zsh"], f"zsh: {path} {name}")
        expect(re.search(rf" -a {name} -d ", text["fish"]), f"fish: {path} {name}")
    offered = bash_completes(scripts["bash"], "sluice", *path, "-")
    function = re.search(rf"^_{'_'.join(['sluice', *path])}\(\) {{\n(.*?)^}}", text["zsh"], re.M | re.S)
    section = re.search(rf"^\.SS {' '.join(['sluice', *path])}\n(.*?)(?=^\.S[SH])", page, re.M | re.S)
    for option in options:
        expect(option in offered, f"bash: {path} {option}")
        expect(function and f"){option}[" in function[1], f"zsh: {path} {option}")
        plain = option.lstrip("-")
        expect(re.search(rf" -{'l' if option.startswith('--') else 's'} {plain}\b", text["fish"]), f"fish: {path} {option}")
        if path and option not in ("-h", "--help"):
            expect(section and f"\\fB{option}\\fR" in section[1], f"man: {path} {option}")
expect(bash_completes(scripts["bash"], "sluice", "run", "--sandbox", "") == {"on", "off"}, "bash: the words of --sandbox")
expect(bash_completes(scripts["bash"], "sluice", "completion", "z") == {"zsh"}, "bash: the words of an argument")
open(f"{folder.name}/my.yaml", "w").close()
expect(bash_completes(scripts["bash"], "sluice", "run", "--config", "my") == {"my.yaml"}, "bash: a file")
expect(bash_completes(scripts["bash"], "sluice", "check", "my") == {"my.yaml"}, "bash: a file without an option")
if shutil.which("fish"):
    for typed, word in (("sluice token m", "mint"), ("sluice run --sandbox ", "off"), ("sluice limits verify --cor", "--cores")):
        asked = f"source {scripts['fish']}; complete -C '{typed}'"
        said = subprocess.run(["fish", "-c", asked], capture_output=True, text=True, cwd=folder.name).stdout
        expect(word in said and "my.yaml" not in said, f"fish: {typed}: {said}")

schema = json.loads(run("config", "--schema").stdout)
described = run("man", "sluice.yaml").stdout
paths = re.findall(r"^\.TP\n\\fB(.*?)\\fR", described, re.M)
last_parts = {re.sub(r"\[\]", "", path.replace("\\-", "-")).rsplit(".", 1)[-1] for path in paths}
known = keys_of(schema, schema)
expect(len(known) > 100, f"the schema has keys: {len(known)}")
expect(known <= last_parts, f"sluice.yaml(5) lacks {sorted(known - last_parts)}")
expect(len(paths) == len(set(paths)), "no key is described twice")
for name in ("sluice", "sluice.yaml"):
    if shutil.which("mandoc"):
        said = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=run("man", name).stdout, capture_output=True, text=True).stdout
        complaints = [line for line in said.splitlines() if "missing date" not in line]
        expect(not complaints, f"mandoc on {name}: {complaints[:3]}")
codes = {int(code) for code in re.findall(r"^(\d)  ", run("help", "exit-codes").stdout, re.M)}
expect(codes == {0, 1, 2, 3, 4, 5}, f"exit codes: {codes}")

print("ok" if failures == 0 else f"{failures} failures")
sys.exit(failures != 0)
