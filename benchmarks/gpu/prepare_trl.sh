#!/usr/bin/env bash
# Gathers TRL for smollm2.sh --throughput on a machine without network. Run it once, with network.
#
#     benchmarks/gpu/prepare_trl.sh [PYTHON_VERSION]
#
# PYTHON_VERSION: of the machine with the GPU; default 3.12. What comes with PyTorch, transformers
# and accelerate is not taken along.
#
# Writes two folders, ignored by git, so that no transfer has to carry everything:
#   carried_c   the wheel of pyarrow
#   carried_d   the wheels of trl, datasets, pandas and what they need
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:-3.12}
first=$here/carried_c second=$here/carried_d
rm -rf "$first" "$second" && mkdir -p "$first/wheels" "$second/wheels"

platforms=()
for glibc in 17 24 27 28; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
fetch() {
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version "$version" \
    --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --platform any -d "$@"
}
fetch "$first/wheels" pyarrow
fetch "$second/wheels" trl datasets pandas python-dateutil six dill multiprocess xxhash
du -sh "$first" "$second"
