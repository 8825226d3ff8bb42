#!/usr/bin/env bash
# Checks and measures on a GPU what only a GPU can show. Needs no network.
#
#     benchmarks/gpu/run.sh OUT [--device cuda|cpu] [--tiny] [--only PART,PART] [--seconds 480]
#
# OUT: a folder for report.md (for people), figures.jsonl (one figure a line) and log.txt (all output).
# What the machine lacks comes from benchmarks/gpu/carried, which prepare.sh fills beforehand.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?Name a folder for the report: run.sh OUT}
shift
mkdir -p "$out"
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
if compgen -G "$here/carried/wheels/*.whl" >/dev/null; then
  python3 -m pip install -q --no-index --no-deps --no-compile --target "$site" "$here"/carried/wheels/*.whl \
    || echo "wheels do not fit this Python ($(python3 --version)); going on with what is installed"
fi
export PYTHONPATH=$root/src:$root/benchmarks:$site HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
python3 "$here/report.py" "$out" "$@"
