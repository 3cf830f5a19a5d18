#!/bin/sh
# Stops what start.sh has started: SIGTERM, so that running requests are finished, and a wait that is longer than the
# server's own. It ends a server that lost its supervisor too.
#
#   scripts/stop.sh           says how it ended; 1 where the server still runs
#   scripts/stop.sh --force   ends it by SIGKILL where it does not end by itself; what was acknowledged is kept
#
# STOP_TIMEOUT is how long to wait, in seconds; DRAIN_TIMEOUT and 15 more where it is not set.
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/process.sh
. "$here/process.sh"

case $#${1:-} in
  0) force=0 ;;
  1--force) force=1 ;;
  *)
    echo 'usage: stop.sh [--force]' >&2
    exit 2
    ;;
esac

find_program
find_settings
find_files

if is_alive "$pid_file"; then
  target=$pid_file
elif is_alive "$server_file"; then
  target=$server_file
else
  rm -f "$pid_file" "$server_file"
  echo 'Slipstream does not run.'
  exit 0
fi

limit=${STOP_TIMEOUT:-$(($(setting DRAIN_TIMEOUT) + 15))}
began=$(now)
waited=0
kill -TERM "$(read_pid "$target")" || exit 1
while is_alive "$target" || is_alive "$server_file"; do
  if [ "$waited" -ge "$limit" ]; then
    if [ "$force" = 0 ]; then
      echo "Slipstream still runs after $waited s; --force ends it at once." >&2
      exit 1
    fi
    # The supervisor first, or it would start another one.
    for file in "$pid_file" "$server_file"; do
      if is_alive "$file"; then kill -KILL "$(read_pid "$file")"; fi
    done
    rm -f "$pid_file" "$server_file"
    echo "Slipstream was killed after $waited s."
    exit 0
  fi
  pause
  waited=$(($(now) - began))
done
rm -f "$pid_file" "$server_file"
echo "Slipstream has stopped, after $waited s."
