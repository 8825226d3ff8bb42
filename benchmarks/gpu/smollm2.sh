#!/usr/bin/env bash
# The table of a real student, SmolLM2-135M-Instruct, on GSM8K chains, on a GPU. Needs no network.
#
#     benchmarks/gpu/smollm2.sh OUT [--random] [--seconds 560] [--chains 2000] [--passes 3]
#                                   [--learning-rate 2e-4] [--device cuda|cpu] [--tiny] [--jobs N]
#     benchmarks/gpu/smollm2.sh OUT [--random] --throughput [--device cuda|cpu] [--tiny]
#                                   [--only PART,PART] [--seconds 450]
#
# OUT: a folder for main-* (the main arms at three seeds) and further-* (further arms at one seed):
# results.json, report.html; main.tar.gz and further.tar.gz: the run folders without weights;
# agreement.txt: how well SmolLM2's scores agree with people's labels, as it is (`ent*`) and
# fine-tuned on multi-hop chains (`ent`, `loss`); status.json, curves.jsonl and log.txt.
# --throughput: no table, but how fast the student answers and trains: throughput.jsonl
# (throughput.py).
# --random: a student of SmolLM2's shape with random weights, to try the script without its weights.
# Model, data and wheels come from carried, carried_a and carried_b, which prepare.sh and
# prepare_smollm2.sh fill; TRL, for --throughput, from carried_c (prepare_trl.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?Name a folder for the report: smollm2.sh OUT}
shift
mkdir -p "$out"
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
for wheels in carried carried_b carried_c; do
  if compgen -G "$here/$wheels/wheels/*.whl" >/dev/null; then
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$site" \
      "$here/$wheels"/wheels/*.whl \
      || echo "$wheels: wheels do not fit $(python3 --version); going on with what is installed"
  fi
done
export PYTHONPATH=$root/src:$site HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True

# joined and converted once; a later call on the same machine finds it
data=$here/carried_unpacked
export SMALLSTEPS_CACHE=$data/cache
if [ ! -f "$data/ready" ]; then
  rm -rf "$data" && mkdir -p "$data"
  for packed in "$here"/carried_b/*.jsonl.gz; do
    gzip -dc "$packed" >"$data/$(basename "$packed" .gz)"
  done
  if [ "${1:-}" = --random ]; then
    python3 "$here/random_student.py" "$data/chains.jsonl" "$data/student"
  else
    cat "$here/carried_a/smollm2.gguf.0" "$here/carried_b/smollm2.gguf.1" >"$data/smollm2.gguf"
    (cd "$data" && sha256sum --check --quiet "$here/carried_b/digest.txt")
    python3 -c 'import sys; from smallsteps import load_student; load_student(sys.argv[1], device="cpu")' \
      "$data/smollm2.gguf"
  fi
  cp "$here/carried_b/tests.txt" "$data/"
  if [ -f "$here/carried_b/ircot.tar.gz" ]; then
    mkdir "$data/ircot" && tar -xzf "$here/carried_b/ircot.tar.gz" -C "$data/ircot"
  fi
  touch "$data/ready"
fi
[ "${1:-}" = --random ] && shift
# a disk in memory, where there is one: checkpoints are large and many
shm=$(df --output=avail -BG /dev/shm 2>/dev/null | tail -1 | tr -dc 0-9 || true)
[ "${shm:-0}" -ge 50 ] && export SMALLSTEPS_WORK=/dev/shm
if [ "${1:-}" = --throughput ]; then
  shift
  student=$data/smollm2.gguf
  [ -d "$data/student" ] && student=$data/student
  python3 "$here/throughput.py" "$student" "$data/chains.jsonl" "$out" "$@"
  exit
fi
python3 "$here/smollm2.py" "$data" "$out" "$@"
