#!/usr/bin/env bash
# The systemd units as systemd judges them: verify says nothing at all, and the service is exposed little.
# usage: units_test.sh PATH_TO_SLUICE
set -eu
sluice=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v systemd-analyze >/dev/null || { echo 'units_test: systemd-analyze is not installed' >&2; exit 1; }
cp deploy/systemd/sluice.socket "$folder/"
sed "s#/usr/local/bin/sluice#$sluice#" deploy/systemd/sluice.service >"$folder/sluice.service"
version=$(systemd-analyze --version | awk 'NR == 1 { print $2 }')
if [ "$version" -ge 253 ]; then
  mkdir "$folder/sluice.service.d"
  cp deploy/systemd/notify-reload.conf "$folder/sluice.service.d/"
fi
said=$(systemd-analyze verify --man=no "$folder/sluice.service" "$folder/sluice.socket" 2>&1 || true)
[ -z "$said" ] || { echo "systemd-analyze verify: $said" >&2; exit 1; }
exposure=$(systemd-analyze security --offline=yes "$folder/sluice.service" | awk '/Overall exposure level/ { for (i = 1; i <= NF; ++i) if ($i ~ /^[0-9.]+$/) print $i }')
awk -v e="$exposure" 'BEGIN { exit !(e != "" && e <= 2.0) }' || { echo "exposure $exposure" >&2; exit 1; }
echo "verify is silent, exposure $exposure (systemd $version)"
