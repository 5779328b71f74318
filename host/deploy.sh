#!/bin/sh
# Install zeroskip's wheel on a PYNQ-Z2; normally run by `make deploy BOARD=xilinx@pynq`.
#
#   host/deploy.sh USER@HOST WHEEL
#
# Needs ssh and scp here, and a PYNQ image 3.0 or 3.1 there.  pip installs the wheel alone, into the Python that has
# pynq: numpy and pynq stay as the image has them, and nothing is compiled.
set -eu

stop() { printf 'deploy: %s\n' "$*" >&2; exit 1; }

board=${1:-}
wheel=${2:-}
[ -n "$board" ] || stop "which board? for example: make deploy BOARD=xilinx@192.168.2.99 (password of the image: xilinx)"
[ -f "$wheel" ] || stop "no wheel ${wheel:-given}; make it with: make wheel"
command -v scp >/dev/null || stop "scp is missing; install an SSH client (Debian: openssh-client)"

name=$(basename "$wheel")
scp "$wheel" "$board:/tmp/$name" || stop "$board does not answer or refuses the copy"
# -t: sudo asks for the password; -i: root's own environment, which has PYNQ's Python and XRT.
ssh -t "$board" "sudo -i python3 -m pip install --no-deps --force-reinstall /tmp/$name && rm /tmp/$name" ||
    stop "installation on $board failed; the wheel may still be at /tmp/$name there"
printf 'deploy: installed; try there:  sudo -i zeroskip bitstreams;  sudo -i zeroskip selftest --device board\n'
