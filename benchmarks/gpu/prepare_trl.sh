#!/usr/bin/env bash
# Gathers TRL for smollm2.sh --throughput on a machine without network. Run it once, with network.
#
#     benchmarks/gpu/prepare_trl.sh [PYTHON_VERSION [PACKAGE ...]]
#
# PYTHON_VERSION: of the machine with the GPU; default 3.12. PACKAGE: what that machine lacks of
# pandas and pyarrow, on which TRL's data sets rest (12 and 55 MB); default: nothing.
# Writes carried_c, ignored by git: the wheels of trl, datasets and what they need (3 MB).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:-3.12}
wheels=$here/carried_c/wheels
rm -rf "$here/carried_c" && mkdir -p "$wheels"

platforms=()
for glibc in 17 24 27 28; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
python3 -m pip download -q --no-deps --only-binary=:all: --python-version "$version" \
  --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --platform any \
  -d "$wheels" trl datasets dill multiprocess xxhash "${@:2}"
du -sh "$here/carried_c"
