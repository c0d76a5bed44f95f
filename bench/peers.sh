#!/usr/bin/env bash
# Measures wenmo beside its peers, in turns, and prints a table.
#   bench/peers.sh [REGEX]     benches whose name matches; default all
# The harness (../shared/peers, or PEERS) brings llama.cpp, Hugging Face's
# tokenizers, torch and onnxruntime; LLAMA_BIN names a folder with llama.cpp's
# native tools. ROUNDS (default 5) alternating runs each, medians are compared.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=$(cd "${PEERS:-../shared/peers}" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$out/wenmo" ./cmd/wenmo
"$peers/setup.sh" ${LLAMA_BIN:+"$LLAMA_BIN"}
[ -d "${PEERS_HOME:-$HOME/.cache/wenmo-peers}/models/qwen2.5-0.5b" ] || /usr/bin/python3 "$peers/make_model.py" all
for bench in gemm tokenizer decode_prefill first_token; do
  /usr/bin/python3 "$peers/$bench.py" --wenmo "$out/wenmo" --rounds "${ROUNDS:-5}" --quiet 10 ${1:+--only "$1"} --out "$out/results.jsonl"
done
/usr/bin/python3 "$peers/report.py" "$out/results.jsonl"
