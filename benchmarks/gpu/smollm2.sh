#!/usr/bin/env bash
# Compares direct fine-tuning and AS-ES learning with a real student, SmolLM2-135M-Instruct, on a
# GPU. Needs no network.
#
#     benchmarks/gpu/smollm2.sh OUT [--seconds 320] [--device cuda|cpu] [--tiny] [--jobs N]
#
# OUT: a folder for report.md (for people), results.jsonl (one trained arm and test set a line),
# predictions.jsonl and log.txt.
# Model, data and wheels come from carried, carried_a and carried_b, which prepare.sh and
# prepare_smollm2.sh fill.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?Name a folder for the report: smollm2.sh OUT}
shift
mkdir -p "$out"
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
for wheels in carried carried_b; do
  if compgen -G "$here/$wheels/wheels/*.whl" >/dev/null; then
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$site" \
      "$here/$wheels"/wheels/*.whl \
      || echo "$wheels: wheels do not fit $(python3 --version); going on with what is installed"
  fi
done
export PYTHONPATH=$root/src:$site HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1

# joined and converted once; a later call on the same machine finds it
data=$here/carried_unpacked
export SMALLSTEPS_CACHE=$data/cache
if [ ! -f "$data/ready" ]; then
  rm -rf "$data" && mkdir -p "$data"
  for packed in "$here"/carried_b/*.jsonl.gz; do
    gzip -dc "$packed" >"$data/$(basename "$packed" .gz)"
  done
  cat "$here/carried_a/smollm2.gguf.0" "$here/carried_b/smollm2.gguf.1" >"$data/smollm2.gguf"
  (cd "$data" && sha256sum --check --quiet "$here/carried_b/digest.txt")
  python3 -c 'import sys; from smallsteps import load_student; load_student(sys.argv[1], device="cpu")' \
    "$data/smollm2.gguf"
  cp "$here/carried_b/tests.txt" "$data/"
  touch "$data/ready"
fi
python3 "$here/smollm2.py" "$data" "$out" "$@"
