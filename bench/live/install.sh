#!/bin/sh
# Installs the libraries that bench/live/run.ts compares with, into a folder outside of this project:
#   bench/live/install.sh [FOLDER]
# Needs bun, node and the package registry of npm. What was installed there before is removed.
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-${TMPDIR:-/tmp}/slipstream-live-peers}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
case "$folder/" in "$PWD"/*) echo "$folder is inside the project: name another folder" >&2; exit 2 ;; esac
node --version
rm -rf "$folder/npm"
mkdir "$folder/npm"
echo '{"private": true}' > "$folder/npm/package.json"
(cd "$folder/npm" && bun add --silent ws@8.23.0 socket.io@4.8.4)
echo "installed in $folder"
