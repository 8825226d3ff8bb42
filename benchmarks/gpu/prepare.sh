#!/usr/bin/env bash
# Gathers what run.sh needs on a machine without network: wheels and chains. Run it once, with network.
#
#     benchmarks/gpu/prepare.sh CHAINS.jsonl [PYTHON_VERSION]
#
# CHAINS.jsonl: GSM8K-like chains (id, question, rationale, answer); the first 1,500 are taken along.
# PYTHON_VERSION: of the machine with the GPU; default 3.12.
# Writes benchmarks/gpu/carried/ (ignored by git, under 30 MB). Carry that folder with the repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
chains=${1:?Name a JSONL file of chains: prepare.sh CHAINS.jsonl}
version=${2:-3.12}
carried=$here/carried
rm -rf "$carried" && mkdir -p "$carried/wheels"
head -n 1500 "$chains" >"$carried/chains.jsonl"

platforms=()
for glibc in 17 24 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
# torch, numpy and the like must not travel: wheels.txt names only small packages.
python3 -m pip download -q --only-binary=:all: --python-version "$version" --implementation cp \
  "${platforms[@]}" --platform manylinux2014_x86_64 --platform any -d "$carried/wheels" -r "$here/wheels.txt"
du -sh "$carried"
