#!/usr/bin/python3
"""Prints what a program is made of, as SPDX 2.3: the Debian packages of the libraries that it loads, and of those that are
part of it.

usage: sbom.py PROGRAM VERSION
"""
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys

program, version = sys.argv[1:3]
# Libraries that are linked statically or consist of headers; the source package of each build dependency says the rest.
built_in = ("liburing-dev", "libllhttp-dev", "libcli11-dev")


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def owner(path):
    """The package of a library; dpkg may know it by its path before /usr was merged."""
    real = os.path.realpath(path)
    for candidate in (real, real.removeprefix("/usr"), path, "/usr" + path):
        found = subprocess.run(["dpkg-query", "-S", candidate], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(": ")[0].split(",")[0]
    raise SystemExit(f"sbom: no package has {path}")


with open("/etc/os-release") as file:
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', file.read(), re.M))
with open(program, "rb") as file:
    digest = hashlib.sha256(file.read()).hexdigest()
libraries = sorted({owner(path) for path in re.findall(r"=> (/\S+)", said("ldd", program))})
packages = [{"SPDXID": "SPDXRef-sluice", "name": "sluice", "versionInfo": version, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
             "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", "primaryPackagePurpose": "APPLICATION",
             "checksums": [{"algorithm": "SHA256", "checksumValue": digest}]}]
relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-sluice"}]
for name in [*libraries, *built_in]:
    form = "${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}"
    package, its_version, architecture, source, source_version = said("dpkg-query", "-W", "-f", form, name).split()
    identifier = "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", package)
    purl = f"pkg:deb/debian/{package}@{its_version.replace(':', '%3A')}?arch={architecture}&distro=debian-{release['VERSION_ID']}"
    packages.append({"SPDXID": identifier, "name": package, "versionInfo": its_version, "supplier": "Organization: Debian",
                     "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
                     "copyrightText": "NOASSERTION", "sourceInfo": f"source package {source} {source_version}",
                     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]})
    relations.append({"spdxElementId": "SPDXRef-sluice", "relationshipType": "STATIC_LINK" if name in built_in else "DYNAMIC_LINK",
                      "relatedSpdxElement": identifier})
moment = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), datetime.timezone.utc)
json.dump({"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"sluice-{version}",
           "documentNamespace": f"urn:sluice:spdx:{digest}",
           "creationInfo": {"created": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: sluice-sbom"]},
           "packages": packages, "relationships": relations}, sys.stdout, indent=1)
print()
