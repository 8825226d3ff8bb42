#!/usr/bin/env bash
# Gathers TRL for smollm2.sh --throughput on a machine without network. Run it once, with network.
#
#     benchmarks/gpu/prepare_trl.sh [PYTHON_VERSION]
#
# PYTHON_VERSION: of the machine with the GPU; default 3.12. What comes with PyTorch, transformers
# and accelerate is not taken along.
#
# Writes two folders, ignored by git, so that no transfer has to carry everything:
#   carried_c   the first half of the wheel of pyarrow (30 MB)
#   carried_d   the rest of it; the wheels of trl, datasets, pandas and what they need (40 MB)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:-3.12}
first=$here/carried_c second=$here/carried_d
rm -rf "$first" "$second" && mkdir -p "$first" "$second/wheels"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

platforms=()
for glibc in 17 24 27 28; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
fetch() {
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version "$version" \
    --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --platform any -d "$@"
}
fetch "$work" pyarrow
wheel=$(basename "$work"/pyarrow-*.whl)
split -b 30000000 -d -a 1 "$work/$wheel" "$work/part"
mv "$work/part0" "$first/$wheel.0"
mv "$work/part1" "$second/$wheel.1"
fetch "$second/wheels" trl datasets pandas python-dateutil six dill multiprocess xxhash
du -sh "$first" "$second"
