#!/bin/sh
# Teach a model on a file of questions: look first, teach, grade what was stored again.
#
#     sh examples/teach_on_a_file.sh MODEL DATA OUT [--set KEY=VALUE ...]
#
# The doctor exits with 3 when teaching cannot work, and the script ends there. Stopped or killed, run it again: it goes
# on where it was.
set -eu
if [ $# -lt 3 ]; then
    echo "usage: sh $0 MODEL DATA OUT [--set KEY=VALUE ...]" >&2
    exit 2
fi
model=$1 data=$2 out=$3
shift 3

menon doctor --model "$model" --data "$data" "$@"
menon teach star --model "$model" --data "$data" --out "$out" "$@"
menon grade "$out"
