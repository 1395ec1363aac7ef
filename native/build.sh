#!/usr/bin/env bash
# Compile llama.cpp's server for the processor of this machine: native/build.sh PYTHON PROGRAM
# It needs a C and a C++ compiler, and takes some six minutes on two cores and 600 MB in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")"
python=$1
program=$2

if ! command -v "${CXX:-c++}" >/dev/null || ! command -v "${CC:-cc}" >/dev/null; then
  echo "A C and a C++ compiler are needed: on Debian or Ubuntu, apt-get install build-essential." >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "Fetching the sources of llama.cpp ..."
"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --disable-pip-version-check cmake ninja
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --no-binary :all: \
  --requirement requirements.txt --dest "$work"
tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work"

# No web page, no TLS and no shared libraries: one program that listens on loopback.
PATH="$work/tools/bin:$PATH" cmake -G Ninja -S "$work"/llama_cpp_python-*/vendor/llama.cpp -B "$work/build" \
  -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF >"$work/configure.log" ||
  { cat "$work/configure.log" >&2; exit 1; }
PATH="$work/tools/bin:$PATH" cmake --build "$work/build" --target llama-server

install -m 755 "$work/build/bin/llama-server" "$program.new"
"$program.new" --version
mv "$program.new" "$program"
echo "Built. The next start of Footnote runs the local model with it; GET /readyz says so."
